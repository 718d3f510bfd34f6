//! Grants of the network, in the builder of a context.

use super::grants::{ConnectGrant, HttpGrant, ListenGrant};
use super::policy::SocketAddrUse;
use crate::WasiCtxBuilder;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

impl WasiCtxBuilder {
    /// Grants to bind sockets to addresses of this machine, and to wait there for connections and
    /// datagrams.
    ///
    /// ```
    /// use cellwall_wasi::WasiCtxBuilder;
    ///
    /// let ctx = WasiCtxBuilder::new()
    ///     .allow_listen("127.0.0.1:8080".parse()?)
    ///     .allow_connect("example.com:443".parse()?)
    ///     .allow_http("*.example.com".parse()?)
    ///     .build();
    /// # drop(ctx);
    /// # Ok::<(), cellwall_wasi::BadGrant>(())
    /// ```
    pub fn allow_listen(&mut self, grant: ListenGrant) -> &mut Self {
        Arc::make_mut(&mut self.net).listen.push(grant);
        self
    }

    /// Grants to connect and to send datagrams to others; those of a name include to look it up.
    pub fn allow_connect(&mut self, grant: ConnectGrant) -> &mut Self {
        Arc::make_mut(&mut self.net).connect.push(grant);
        self
    }

    /// Grants HTTP requests to a host. They need no other grant.
    pub fn allow_http(&mut self, grant: HttpGrant) -> &mut Self {
        Arc::make_mut(&mut self.net).http.push(grant);
        self
    }

    /// Has HTTPS requests trust the certificate authorities of a PEM file too, beside those that
    /// browsers trust; in place of any set before.
    ///
    /// # Errors
    /// There is no certificate in it, or one that is no authority's.
    #[cfg(feature = "http")]
    pub fn http_root_certificates(&mut self, pem: &[u8]) -> Result<&mut Self, crate::http::CertificateError> {
        Arc::make_mut(&mut self.net).tls = Some(crate::http::Tls::also_trusting(pem)?);
        Ok(self)
    }

    /// Grants in the network what `other` grants, in place of what was granted before. Contexts that
    /// are made so share what they know of the addresses of granted names.
    pub fn same_network(&mut self, other: &WasiCtxBuilder) -> &mut Self {
        self.net = other.net.clone();
        self
    }

    /// Whether any name may be looked up. The default is no: only those granted by name.
    pub fn allow_ip_name_lookup(&mut self, allow: bool) -> &mut Self {
        Arc::make_mut(&mut self.net).lookup = allow;
        self
    }

    /// Whether there may be TCP sockets, for what else was granted. The default is yes.
    pub fn allow_tcp(&mut self, allow: bool) -> &mut Self {
        Arc::make_mut(&mut self.net).no_tcp = !allow;
        self
    }

    /// Whether there may be UDP sockets, for what else was granted. The default is yes.
    pub fn allow_udp(&mut self, allow: bool) -> &mut Self {
        Arc::make_mut(&mut self.net).no_udp = !allow;
        self
    }

    /// How many sockets the guest may have at once, those that it accepted included. The default is 4096.
    pub fn max_sockets(&mut self, count: usize) -> &mut Self {
        self.sockets_max = count;
        self
    }

    /// Grants all addresses, for all uses, and all names: what this process can do in the network.
    /// HTTP requests have a grant of their own.
    pub fn inherit_network(&mut self) -> &mut Self {
        self.allow_ip_name_lookup(true)
            .socket_addr_check(|_, _| Box::pin(async { true }))
    }

    /// Asks `check` for each address that is about to be used, in place of all that was granted by
    /// [`allow_listen`](Self::allow_listen) and [`allow_connect`](Self::allow_connect).
    pub fn socket_addr_check(
        &mut self,
        check: impl Fn(SocketAddr, SocketAddrUse) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        Arc::make_mut(&mut self.net).check = Some(Arc::new(check));
        self
    }
}
