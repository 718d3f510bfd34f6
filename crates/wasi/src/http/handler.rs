//! What a server needs of a guest: `wasi:http/incoming-handler`.

use super::message::{IncomingRequest, OutgoingResponse, ResponseBody};
use crate::WasiView;
use cellwall::component::{ComponentExportIndex, Instance, InstancePre, Resource, TypedFunc};
use cellwall::{Result, Store, format_err};
use http::Response;
use std::fmt;
use tokio::sync::oneshot;

/// The interface that a handler exports; a component may name any version of it.
const INTERFACE: &str = "wasi:http/incoming-handler@0.2.12";

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The guest said so, with this error.
    Error(String),
    /// The guest ended, or dropped what it should answer with.
    Dropped,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Error(code) => write!(f, "the guest answered with the error {code}"),
            Unanswered::Dropped => f.write_str("the guest did not answer"),
        }
    }
}

impl std::error::Error for Unanswered {}

/// `response-outparam`: where a guest puts its response.
pub struct ResponseOutparam(oneshot::Sender<Result<Response<ResponseBody>, Unanswered>>);

impl fmt::Debug for ResponseOutparam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseOutparam").finish_non_exhaustive()
    }
}

impl ResponseOutparam {
    /// A place for a response, and where it comes out.
    pub fn new() -> (
        ResponseOutparam,
        impl Future<Output = Result<Response<ResponseBody>, Unanswered>>,
    ) {
        let (sender, receiver) = oneshot::channel();
        let response = async { receiver.await.unwrap_or(Err(Unanswered::Dropped)) };
        (ResponseOutparam(sender), response)
    }

    pub(super) fn set(self, response: Result<OutgoingResponse, String>) {
        let response = response
            .map(OutgoingResponse::into_http)
            .map_err(Unanswered::Error);
        // If nobody waits any more, the client is gone.
        let _ = self.0.send(response);
    }
}

/// A component that handles requests, ready to be instantiated for each of them.
pub struct HandlerPre<T: 'static> {
    pre: InstancePre<T>,
    handle: ComponentExportIndex,
}

impl<T: 'static> Clone for HandlerPre<T> {
    fn clone(&self) -> HandlerPre<T> {
        HandlerPre {
            pre: self.pre.clone(),
            handle: self.handle.clone(),
        }
    }
}

impl<T: 'static> fmt::Debug for HandlerPre<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerPre").finish_non_exhaustive()
    }
}

type Handle = TypedFunc<(Resource<IncomingRequest>, Resource<ResponseOutparam>), ()>;

impl<T: WasiView + 'static> HandlerPre<T> {
    /// Finds the handler of a component.
    ///
    /// # Errors
    /// It exports none.
    pub fn new(pre: InstancePre<T>) -> Result<HandlerPre<T>> {
        let component = pre.component();
        let handle = component
            .get_export_index(None, INTERFACE)
            .and_then(|interface| component.get_export_index(Some(&interface), "handle"));
        match handle {
            Some(handle) => Ok(HandlerPre { pre, handle }),
            None => Err(format_err!(
                "the component exports no `wasi:http/incoming-handler`"
            )),
        }
    }

    /// A fresh instance in `store`.
    ///
    /// # Errors
    /// As [`InstancePre::instantiate_async`].
    pub async fn instantiate(&self, store: &mut Store<T>) -> Result<Handler> {
        let instance: Instance = self.pre.instantiate_async(&mut *store).await?;
        let handle = instance.get_typed_func(&mut *store, &self.handle)?;
        Ok(Handler { handle })
    }
}

/// An instance that handles a request.
#[derive(Debug)]
pub struct Handler {
    handle: Handle,
}

impl Handler {
    /// Calls the handler. The response comes out of what `param` was made with, mostly before the
    /// call ends, while the guest goes on to write its body.
    ///
    /// # Errors
    /// The guest trapped, or its resources were too many.
    pub async fn handle<T: WasiView + 'static>(
        &self,
        store: &mut Store<T>,
        request: IncomingRequest,
        param: ResponseOutparam,
    ) -> Result<()> {
        let table = store.data_mut().ctx().table;
        let request = table.push(request)?;
        let param = table.push(param)?;
        self.handle.call_async(store, (request, param)).await
    }
}
