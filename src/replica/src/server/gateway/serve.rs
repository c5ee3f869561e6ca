//! From a request of a browser to a response.
use super::super::browsers::{self, Trust};
use super::super::error::ApiError;
use super::super::instances::api;
use super::super::limits::PAGE_REQUEST_LIMIT_BYTES;
use super::super::slot::Slot;
use super::super::{Server, body, operations};
use super::page::{NoPage, Page, Request};
use super::{address, page};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// What all requests to a gateway share.
#[derive(Clone)]
struct Gate {
    server: Server,
    slot: Arc<Slot>,
    domains: Arc<[String]>,
}

/// The whole gateway.
pub(super) fn router(server: &Server, slot: &Arc<Slot>, domains: Vec<String>) -> Router {
    let gate = Gate { server: server.clone(), slot: Arc::clone(slot), domains: domains.into() };
    Router::new().fallback(any(handle)).with_state(gate)
}

/// In a task of its own, as all requests.
async fn handle(State(gate): State<Gate>, request: axum::extract::Request) -> Response {
    let pending = gate.server.activity.begin();
    let task = tokio::spawn(async move {
        let _pending = pending;
        answer(&gate, request).await
    });
    let failed = |error| ApiError::internal(format!("the request was not handled: {error}"));
    task.await.map_err(failed).flatten().unwrap_or_else(ApiError::into_text)
}

async fn answer(gate: &Gate, request: axum::extract::Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    browsers::check_host(&parts.headers, &parts.uri, &gate.domains)?;
    let trust = browsers::trust(&parts.headers)?;
    let path = parts.uri.path();
    if path == "/_/topology" {
        let topology =
            gate.slot.in_turn(|slot| body::JsonAnswer::new(&slot.with(operations::topology)??)).await??;
        return Ok(topology.into_response());
    }
    if path == "/_/dashboard" {
        return Err(ApiError::unsupported("the dashboard", "ask for /_/topology"));
    }
    if let Some(path) = path.strip_prefix("/api/") {
        let path = path.to_owned();
        return Ok(api(&gate.slot, &parts.method, &path, body).await);
    }
    let canister = address::canister(&parts.headers, &parts.uri, &gate.domains).ok_or_else(|| {
        ApiError::bad_request(
            "no canister is named: ask for http://CANISTER.localhost:PORT/ or for /?canisterId=CANISTER",
        )
    })?;
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let body = body::read(body, PAGE_REQUEST_LIMIT_BYTES).await.map_err(|error| ApiError {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: format!("503 - upstream error: {}", error.message),
    })?;
    let asked = Request {
        method: parts.method.to_string(),
        url: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: parts.headers.iter().map(text).collect(),
        body: ByteBuf::from(body.bytes),
        certificate_version: Some(2),
    };
    let work =
        move |slot: &Slot| slot.with(|instance| page::ask(instance, canister, &asked, trust == Trust::Own));
    match gate.slot.in_turn(work).await?? {
        Ok(page) => response(page),
        Err(NoPage::NoCanister) => {
            Err(ApiError::not_found(format!("404 - canister not found: there is no canister {canister}")))
        }
        Err(NoPage::NeedsUpdate) => Err(ApiError::forbidden(
            "this page would change the canister, and a link on another page may not do that: open it from here",
        )),
        Err(NoPage::Canister(why)) => Err(ApiError::bad_gateway(format!("canister {canister}: {why}"))),
    }
}

/// Headers that are about the connection, and not about the page.
const OF_CONNECTION: [HeaderName; 4] =
    [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")];

fn response(page: Page) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(page.status)
        .map_err(|_| ApiError::bad_gateway(format!("the canister answered with status {}", page.status)))?;
    let length = page.body.len();
    let mut response = Response::new(Body::from(page.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in page.headers {
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) else {
            continue;
        };
        if !OF_CONNECTION.contains(&name) {
            headers.append(name, value);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    // Also in answer to HEAD, where the body is left out.
    headers.insert(CONTENT_LENGTH, length.into());
    Ok(response)
}
