//! The options of `run` and `serve` that grant the network.

use std::path::PathBuf;

use cellwall_wasi::{ConnectGrant, HttpGrant, ListenGrant, WasiCtxBuilder};

use crate::failure::Failure;

/// What the guest may do in the network: nothing, unless it is here.
#[derive(Debug, clap::Args)]
pub(crate) struct NetGrants {
    /// Grant to listen there: an address of this machine, `*` for all; without a port, on any
    #[arg(long, value_name = "ADDR[:PORT]")]
    listen: Vec<ListenGrant>,
    /// Grant to connect and send datagrams there: a name, an address, a network, `*` for all
    #[arg(long, value_name = "HOST[:PORT]|CIDR")]
    connect: Vec<ConnectGrant>,
    /// Grant HTTP requests to that host: a name, `*.` before a name, an address, `*` for all
    #[arg(long, value_name = "HOST[:PORT]")]
    http: Vec<HttpGrant>,
    /// Trust the certificate authorities of a PEM file too, in HTTPS requests of the guest
    #[arg(long, value_name = "FILE")]
    http_ca: Vec<PathBuf>,
    /// Grant to look up any name; those of --connect may be looked up without it
    #[arg(long)]
    dns: bool,
    /// Say what is granted and what was denied, as CELLWALL_LOG=info does
    #[arg(long)]
    pub(crate) verbose: bool,
}

impl NetGrants {
    /// Adds them to what a guest gets.
    pub(crate) fn apply(&self, wasi: &mut WasiCtxBuilder) -> Result<(), Failure> {
        for grant in &self.listen {
            wasi.allow_listen(grant.clone());
        }
        for grant in &self.connect {
            wasi.allow_connect(grant.clone());
        }
        for grant in &self.http {
            wasi.allow_http(grant.clone());
        }
        wasi.allow_ip_name_lookup(self.dns);
        let mut certificates = Vec::new();
        for file in &self.http_ca {
            let bad = |e: cellwall::Error| Failure::load(e, format!("cannot trust `{}`", file.display()));
            let pem = std::fs::read(file).map_err(|e| bad(e.into()))?;
            certificates.extend(pem);
            certificates.push(b'\n');
            wasi.http_root_certificates(&certificates)
                .map_err(|e| bad(e.into()))?;
        }
        Ok(())
    }
}
