//! HTTP gateways: web pages of canisters, in a browser.
//!
//! | file | what |
//! |---|---|
//! | this one | gateways are created, listed and stopped |
//! | `address` | which canister a request is for |
//! | `page` | how canisters are asked for a page (interface specification, "HTTP Gateway protocol") |
//! | `serve` | from a request to a response |

mod address;
mod page;
mod serve;

use super::Server;
use super::body;
use super::error::ApiError;
use super::limits::JSON_BODY_LIMIT_BYTES;
use super::protocol::{
    CreateHttpGatewayResponse, HttpGatewayBackend, HttpGatewayConfig, HttpGatewayDetails, HttpGatewayInfo,
    InstanceHttpGatewayConfig,
};
use super::slot::Slot;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// All gateways by number; stopped ones leave their place empty.
#[derive(Default)]
pub(crate) struct Gateways(Mutex<Vec<Option<Gateway>>>);

struct Gateway {
    details: HttpGatewayDetails,
    /// Dropped, it ends the gateway.
    _stop: oneshot::Sender<()>,
}

impl Gateways {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Gateway>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops those of an instance.
    pub(crate) fn stop_of(&self, instance: usize) {
        for gateway in self.lock().iter_mut() {
            gateway.take_if(|gateway| {
                gateway.details.forward_to == HttpGatewayBackend::PocketIcInstance(instance)
            });
        }
    }
}

/// Takes the port of a gateway.
pub(crate) fn bind(config: &InstanceHttpGatewayConfig) -> Result<TcpListener, String> {
    let ip = config.ip_addr.clone().unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
    let port = config.port.unwrap_or(0);
    let failed = |error: &dyn std::fmt::Display| format!("Failed to bind to address {ip}:{port}: {error}");
    let address: IpAddr = ip.parse().map_err(|error| failed(&error))?;
    let listener = TcpListener::bind((address, port)).map_err(|error| failed(&error))?;
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    Ok(listener)
}

/// Starts a gateway on a port that was taken.
pub(crate) fn start(
    server: &Server,
    slot: &Arc<Slot>,
    config: &InstanceHttpGatewayConfig,
    listener: TcpListener,
) -> Result<HttpGatewayInfo, String> {
    if config.https_config.is_some() {
        return Err(
            "TLS config could not be created: https_config is not supported by this replica; browsers take \
                    pages of localhost for secure without it"
                .to_string(),
        );
    }
    if config.domain_custom_provider_local_file.is_some() {
        return Err(
            "domain_custom_provider_local_file is not supported by this replica; use domains".to_string()
        );
    }
    let broken = |error: std::io::Error| format!("the gateway did not start: {error}");
    let port = listener.local_addr().map_err(broken)?.port();
    let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
    let domains = config.domains.clone().unwrap_or_default();
    let router = serve::router(server, slot, domains);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        // It ends when the sender is dropped; the connections that are open then are closed.
        let stopped = async { drop(stopped.await) };
        axum::serve(listener, router).with_graceful_shutdown(stopped).await
    });
    let mut gateways = server.gateways.lock();
    let info = HttpGatewayInfo { instance_id: gateways.len(), port };
    let details = HttpGatewayDetails {
        instance_id: info.instance_id,
        port,
        forward_to: HttpGatewayBackend::PocketIcInstance(slot.id()),
        domains: config.domains.clone(),
        https_config: None,
    };
    gateways.push(Some(Gateway { details, _stop: stop }));
    Ok(info)
}

/// Those that run.
pub(crate) async fn list(State(server): State<Server>) -> Json<Vec<HttpGatewayDetails>> {
    Json(server.gateways.lock().iter().flatten().map(|gateway| gateway.details.clone()).collect())
}

/// Creates one. What is wrong is answered in the form of this endpoint, because the client shows nothing else.
pub(crate) async fn create(State(server): State<Server>, body: Body) -> Result<Response, ApiError> {
    let body = body::read(body, JSON_BODY_LIMIT_BYTES).await?;
    let config: HttpGatewayConfig = body::parse(&body)?;
    Ok(match try_create(&server, &config) {
        Ok(info) => (StatusCode::CREATED, Json(CreateHttpGatewayResponse::Created(info))).into_response(),
        Err(message) => {
            (StatusCode::BAD_REQUEST, Json(CreateHttpGatewayResponse::Error { message })).into_response()
        }
    })
}

fn try_create(server: &Server, config: &HttpGatewayConfig) -> Result<HttpGatewayInfo, String> {
    let HttpGatewayBackend::PocketIcInstance(id) = &config.forward_to else {
        return Err(
            "forward_to Replica is not supported by this replica: a gateway serves its own instances"
                .to_string(),
        );
    };
    let slot = server.registry.slot(*id).map_err(|error| error.to_string())?;
    start(server, &slot, &config.config, bind(&config.config)?)
}

/// Stops one; nothing happens if it does not run.
pub(crate) async fn stop(State(server): State<Server>, Path(id): Path<usize>) -> Json<()> {
    if let Some(gateway) = server.gateways.lock().get_mut(id) {
        *gateway = None;
    }
    Json(())
}
