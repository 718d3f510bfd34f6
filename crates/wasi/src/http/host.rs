//! The functions of `wasi:http`, on what the other files of this folder mean by them.

use super::bindings::types::{
    self, Duration as Nanoseconds, ErrorCode, HeaderError, Method, Scheme, StatusCode, Trailers,
};
use super::bindings::{lift_method, lift_scheme, lower_method, lower_scheme, outgoing_handler};
use super::error::{FieldsError, HttpError};
use super::{
    Fields, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse,
    OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam, client,
};
use crate::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};
use crate::view::WasiCtxView;
use cellwall::component::{Resource, ResourceTableError};
use cellwall::{Error, Result};
use http::uri::PathAndQuery;
use std::time::Duration;

/// An error for the guest, or the end of it.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    Guest(E),
    Trap(Error),
}

impl<E> From<ResourceTableError> for Failure<E> {
    fn from(error: ResourceTableError) -> Failure<E> {
        Failure::Trap(error.into())
    }
}

impl From<HttpError> for Failure<HttpError> {
    fn from(error: HttpError) -> Failure<HttpError> {
        Failure::Guest(error)
    }
}

impl From<FieldsError> for Failure<FieldsError> {
    fn from(error: FieldsError) -> Failure<FieldsError> {
        match error {
            FieldsError::TooLarge => Failure::Trap(error.into()),
            error => Failure::Guest(error),
        }
    }
}

pub(crate) type HeaderFailure = Failure<FieldsError>;
pub(crate) type HttpFailure = Failure<HttpError>;
type HeaderResult<T> = Result<T, HeaderFailure>;
type HttpResult<T> = Result<T, HttpFailure>;

impl types::Host for WasiCtxView<'_> {
    fn convert_error_code(&mut self, error: HttpFailure) -> Result<ErrorCode> {
        match error {
            Failure::Guest(error) => Ok(error.into()),
            Failure::Trap(error) => Err(error),
        }
    }

    fn convert_header_error(&mut self, error: HeaderFailure) -> Result<HeaderError> {
        match error {
            Failure::Guest(error) => Ok(error.into()),
            Failure::Trap(error) => Err(error),
        }
    }

    fn http_error_code(&mut self, error: Resource<Error>) -> Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?.downcast_ref::<HttpError>();
        Ok(error.cloned().map(ErrorCode::from))
    }
}

impl types::HostFields for WasiCtxView<'_> {
    fn new(&mut self) -> Result<Resource<Fields>> {
        Ok(self.table.push(Fields::new(&self.ctx.http))?)
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<Fields>> {
        let fields = Fields::from_list(&self.ctx.http, entries)?;
        Ok(self.table.push(fields)?)
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> Result<Vec<Vec<u8>>> {
        Ok(self.table.get(&fields)?.get(&name))
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> Result<bool> {
        Ok(self.table.get(&fields)?.has(&name))
    }

    fn set(&mut self, fields: Resource<Fields>, name: String, values: Vec<Vec<u8>>) -> HeaderResult<()> {
        Ok(self.table.get_mut(&fields)?.set(&name, values)?)
    }

    fn delete(&mut self, fields: Resource<Fields>, name: String) -> HeaderResult<()> {
        Ok(self.table.get_mut(&fields)?.delete(&name)?)
    }

    fn append(&mut self, fields: Resource<Fields>, name: String, value: Vec<u8>) -> HeaderResult<()> {
        Ok(self.table.get_mut(&fields)?.append(&name, value)?)
    }

    fn entries(&mut self, fields: Resource<Fields>) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.table.get(&fields)?.entries())
    }

    fn clone(&mut self, fields: Resource<Fields>) -> Result<Resource<Fields>> {
        let fields = self.table.get(&fields)?.thawed(&self.ctx.http);
        Ok(self.table.push(fields)?)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> Result<()> {
        self.table.delete(fields)?;
        Ok(())
    }
}

impl types::HostIncomingRequest for WasiCtxView<'_> {
    fn method(&mut self, request: Resource<IncomingRequest>) -> Result<Method> {
        Ok(lower_method(&self.table.get(&request)?.method))
    }

    fn path_with_query(&mut self, request: Resource<IncomingRequest>) -> Result<Option<String>> {
        let path = self.table.get(&request)?.uri.path_and_query();
        Ok(path.map(|path| path.as_str().to_owned()))
    }

    fn scheme(&mut self, request: Resource<IncomingRequest>) -> Result<Option<Scheme>> {
        Ok(Some(lower_scheme(&self.table.get(&request)?.scheme)))
    }

    fn authority(&mut self, request: Resource<IncomingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.authority.clone())
    }

    fn headers(&mut self, request: Resource<IncomingRequest>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&request)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn consume(&mut self, request: Resource<IncomingRequest>) -> Result<Result<Resource<IncomingBody>, ()>> {
        match self.table.get_mut(&request)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, request: Resource<IncomingRequest>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl types::HostOutgoingRequest for WasiCtxView<'_> {
    fn new(&mut self, headers: Resource<Fields>) -> Result<Resource<OutgoingRequest>> {
        let headers = self.table.delete(headers)?;
        Ok(self.table.push(OutgoingRequest::new(headers))?)
    }

    fn body(&mut self, request: Resource<OutgoingRequest>) -> Result<Result<Resource<OutgoingBody>, ()>> {
        match self.table.get_mut(&request)?.body(&self.ctx.http) {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> Result<Method> {
        Ok(lower_method(&self.table.get(&request)?.method))
    }

    fn set_method(&mut self, request: Resource<OutgoingRequest>, method: Method) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let set = lift_method(&method).map(|method| request.method = method);
        request.charge_line(&self.ctx.http)?;
        Ok(set)
    }

    fn path_with_query(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<String>> {
        let path = &self.table.get(&request)?.path;
        Ok(path.as_ref().map(|path| path.as_str().to_owned()))
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        path: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let path = path.map(|path| match path.as_str() {
            // Nothing but a query belongs to the root.
            text if text.starts_with('?') => format!("/{text}").parse::<PathAndQuery>(),
            text => text.parse(),
        });
        let set = path.transpose().map(|path| request.path = path).map_err(drop);
        request.charge_line(&self.ctx.http)?;
        Ok(set)
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.as_ref().map(lower_scheme))
    }

    fn set_scheme(
        &mut self,
        request: Resource<OutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let scheme = scheme.map(lift_scheme).transpose();
        Ok(scheme.map(|scheme| request.scheme = scheme))
    }

    fn authority(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<String>> {
        let authority = &self.table.get(&request)?.authority;
        Ok(authority.as_ref().map(|authority| authority.as_str().to_owned()))
    }

    fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        authority: Option<String>,
    ) -> Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        let authority = authority.map(|text| client::parse_authority(&text)).transpose();
        let set = authority.map(|authority| request.authority = authority);
        request.charge_line(&self.ctx.http)?;
        Ok(set)
    }

    fn headers(&mut self, request: Resource<OutgoingRequest>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&request)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

/// The longest account of a guest's error, in bytes.
const ACCOUNT_BYTES_MAX: usize = 1024;

/// What is shown of an error of a guest, whose texts may be as long as its memory.
fn shortened(code: &ErrorCode) -> String {
    struct Start(String);

    impl std::fmt::Write for Start {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let end = text.floor_char_boundary(ACCOUNT_BYTES_MAX - self.0.len());
            self.0.push_str(&text[..end]);
            (end == text.len()).then_some(()).ok_or(std::fmt::Error)
        }
    }

    let mut start = Start(String::new());
    if std::fmt::Write::write_fmt(&mut start, format_args!("{code:?}")).is_err() {
        start.0.push_str("...");
    }
    start.0
}

fn nanoseconds(time: Option<Duration>) -> Option<Nanoseconds> {
    time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl types::HostRequestOptions for WasiCtxView<'_> {
    fn new(&mut self) -> Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions::default())?)
    }

    fn connect_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<Nanoseconds>> {
        Ok(nanoseconds(self.table.get(&options)?.connect_timeout))
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        time: Option<Nanoseconds>,
    ) -> Result<Result<(), ()>> {
        self.table.get_mut(&options)?.connect_timeout = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn first_byte_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<Nanoseconds>> {
        Ok(nanoseconds(self.table.get(&options)?.first_byte_timeout))
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        time: Option<Nanoseconds>,
    ) -> Result<Result<(), ()>> {
        self.table.get_mut(&options)?.first_byte_timeout = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn between_bytes_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<Nanoseconds>> {
        Ok(nanoseconds(self.table.get(&options)?.between_bytes_timeout))
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        time: Option<Nanoseconds>,
    ) -> Result<Result<(), ()>> {
        self.table.get_mut(&options)?.between_bytes_timeout = time.map(Duration::from_nanos);
        Ok(Ok(()))
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}

impl types::HostResponseOutparam for WasiCtxView<'_> {
    fn set(
        &mut self,
        param: Resource<ResponseOutparam>,
        response: Result<Resource<OutgoingResponse>, ErrorCode>,
    ) -> Result<()> {
        let response = match response {
            Ok(response) => Ok(self.table.delete(response)?),
            Err(code) => Err(shortened(&code)),
        };
        self.table.delete(param)?.set(response);
        Ok(())
    }

    fn drop(&mut self, param: Resource<ResponseOutparam>) -> Result<()> {
        self.table.delete(param)?;
        Ok(())
    }
}

impl types::HostIncomingResponse for WasiCtxView<'_> {
    fn status(&mut self, response: Resource<IncomingResponse>) -> Result<StatusCode> {
        Ok(self.table.get(&response)?.status.as_u16())
    }

    fn headers(&mut self, response: Resource<IncomingResponse>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn consume(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> Result<Result<Resource<IncomingBody>, ()>> {
        match self.table.get_mut(&response)?.body.take() {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, response: Resource<IncomingResponse>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl types::HostIncomingBody for WasiCtxView<'_> {
    fn stream(&mut self, body: Resource<IncomingBody>) -> Result<Result<Resource<DynInputStream>, ()>> {
        match self.table.get_mut(&body)?.stream() {
            Some(stream) => {
                let stream: DynInputStream = Box::new(stream);
                Ok(Ok(self.table.push_child(stream, &body)?))
            }
            None => Ok(Err(())),
        }
    }

    fn finish(&mut self, body: Resource<IncomingBody>) -> Result<Resource<FutureTrailers>> {
        let trailers = self.table.delete(body)?.finish();
        Ok(self.table.push(trailers)?)
    }

    fn drop(&mut self, body: Resource<IncomingBody>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl types::HostFutureTrailers for WasiCtxView<'_> {
    fn subscribe(&mut self, trailers: Resource<FutureTrailers>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, trailers)?)
    }

    fn get(
        &mut self,
        trailers: Resource<FutureTrailers>,
    ) -> Result<Option<Result<Result<Option<Resource<Trailers>>, ErrorCode>, ()>>> {
        Ok(match self.table.get_mut(&trailers)?.get() {
            None => None,
            Some(Err(())) => Some(Err(())),
            Some(Ok(Err(error))) => Some(Ok(Err(error.into()))),
            Some(Ok(Ok(None))) => Some(Ok(Ok(None))),
            Some(Ok(Ok(Some(fields)))) => Some(Ok(Ok(Some(self.table.push(fields)?)))),
        })
    }

    fn drop(&mut self, trailers: Resource<FutureTrailers>) -> Result<()> {
        self.table.delete(trailers)?;
        Ok(())
    }
}

impl types::HostOutgoingResponse for WasiCtxView<'_> {
    fn new(&mut self, headers: Resource<Fields>) -> Result<Resource<OutgoingResponse>> {
        let headers = self.table.delete(headers)?;
        Ok(self.table.push(OutgoingResponse::new(headers))?)
    }

    fn status_code(&mut self, response: Resource<OutgoingResponse>) -> Result<StatusCode> {
        Ok(self.table.get(&response)?.status.as_u16())
    }

    fn set_status_code(
        &mut self,
        response: Resource<OutgoingResponse>,
        code: StatusCode,
    ) -> Result<Result<(), ()>> {
        let response = self.table.get_mut(&response)?;
        let status = http::StatusCode::from_u16(code);
        Ok(status.map(|status| response.status = status).map_err(drop))
    }

    fn headers(&mut self, response: Resource<OutgoingResponse>) -> Result<Resource<Fields>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(headers)?)
    }

    fn body(&mut self, response: Resource<OutgoingResponse>) -> Result<Result<Resource<OutgoingBody>, ()>> {
        match self.table.get_mut(&response)?.body(&self.ctx.http) {
            Some(body) => Ok(Ok(self.table.push(body)?)),
            None => Ok(Err(())),
        }
    }

    fn drop(&mut self, response: Resource<OutgoingResponse>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl types::HostOutgoingBody for WasiCtxView<'_> {
    fn write(&mut self, body: Resource<OutgoingBody>) -> Result<Result<Resource<DynOutputStream>, ()>> {
        match self.table.get_mut(&body)?.write() {
            Some(stream) => {
                let stream: DynOutputStream = Box::new(stream);
                Ok(Ok(self.table.push_child(stream, &body)?))
            }
            None => Ok(Err(())),
        }
    }

    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<Trailers>>,
    ) -> HttpResult<()> {
        let body = self.table.delete(body)?;
        let trailers = trailers.map(|trailers| self.table.delete(trailers)).transpose()?;
        Ok(body.finish(trailers)?)
    }

    fn drop(&mut self, body: Resource<OutgoingBody>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl types::HostFutureIncomingResponse for WasiCtxView<'_> {
    fn subscribe(&mut self, response: Resource<FutureIncomingResponse>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, response)?)
    }

    fn get(
        &mut self,
        response: Resource<FutureIncomingResponse>,
    ) -> Result<Option<Result<Result<Resource<IncomingResponse>, ErrorCode>, ()>>> {
        Ok(match self.table.get_mut(&response)?.get() {
            None => None,
            Some(Err(())) => Some(Err(())),
            Some(Ok(Err(error))) => Some(Ok(Err(error.into()))),
            Some(Ok(Ok(response))) => Some(Ok(Ok(self.table.push(response)?))),
        })
    }

    fn drop(&mut self, response: Resource<FutureIncomingResponse>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl outgoing_handler::Host for WasiCtxView<'_> {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> HttpResult<Resource<FutureIncomingResponse>> {
        let options = match options {
            Some(options) => self.table.delete(options)?,
            None => RequestOptions::default(),
        };
        let request = self.table.delete(request)?;
        let slot = self
            .ctx
            .sockets
            .take()
            .map_err(|_| HttpError::ConnectionLimitReached)?;
        let response = client::send(&self.ctx.net, request, options, Some(slot))?;
        Ok(self.table.push(response)?)
    }
}
