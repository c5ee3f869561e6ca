//! Endpoints that create, list, run and delete instances.
use super::Server;
use super::body::{self, JsonAnswer};
use super::creation;
use super::error::ApiError;
use super::gateway;
use super::https;
use super::limits::{JSON_BODY_LIMIT_BYTES, PAGE_REQUEST_LIMIT_BYTES};
use super::operations;
use super::progress;
use super::protocol::{AutoProgressConfig, CreateInstanceResponse, InstanceConfig, SetStableMemory};
use super::slot::Slot;
use crate::instance::Instance;
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The instance that a path names.
pub(crate) struct Target(Arc<Slot>);

impl FromRequestParts<Server> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let Path(Named { id }) = Path::<Named>::from_request_parts(parts, server)
            .await
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let number = id
            .parse()
            .map_err(|_| ApiError::not_found(format!("instance {id} does not exist or was deleted")))?;
        Ok(Self(server.registry.slot(number)?))
    }
}

/// An endpoint without arguments.
pub(crate) fn reading<Answer: Serialize + 'static>(
    operation: fn(&mut Instance) -> Result<Answer, ApiError>,
) -> MethodRouter<Server> {
    get(async move |Target(slot): Target| {
        slot.in_turn(move |slot| JsonAnswer::new(&slot.with(operation)??)).await?
    })
}

/// An endpoint with arguments.
pub(crate) fn calling<Args: DeserializeOwned + 'static, Answer: Serialize + 'static>(
    operation: fn(&mut Instance, Args) -> Result<Answer, ApiError>,
) -> MethodRouter<Server> {
    post(async move |Target(slot): Target, body: Body| {
        let body = body::read(body, JSON_BODY_LIMIT_BYTES).await?;
        let work = move |slot: &Slot| {
            let args = body::parse(&body)?;
            drop(body);
            JsonAnswer::new(&slot.with(|instance| operation(instance, args))??)
        };
        slot.in_turn(work).await?
    })
}

/// Apart from the others, because it needs the blob store.
pub(crate) async fn set_stable_memory(
    State(server): State<Server>,
    Target(slot): Target,
    body: Body,
) -> Result<JsonAnswer, ApiError> {
    let body = body::read(body, JSON_BODY_LIMIT_BYTES).await?;
    let args: SetStableMemory = body::parse(&body)?;
    let blob = server.blobs.fetch(&args.blob_id.0).map_err(ApiError::bad_request)?;
    let work = move |slot: &Slot| {
        let set = |instance: &mut Instance| instance.set_stable_memory(args.canister_id.0, &blob);
        JsonAnswer::new(&slot.with(set)?.map_err(ApiError::bad_request)?)
    };
    slot.in_turn(work).await?
}

/// Answers what has become of each instance, in the order of their ids.
pub(crate) async fn list(State(server): State<Server>) -> Json<Vec<String>> {
    Json(server.registry.labels())
}

/// Makes an instance. What is wrong with a configuration is answered in the form of this endpoint, because
/// the client shows nothing else; what is not a configuration at all is answered as everywhere.
pub(crate) async fn create(State(server): State<Server>, body: Body) -> Result<Response, ApiError> {
    let body = body::read(body, JSON_BODY_LIMIT_BYTES).await?;
    let config: Result<InstanceConfig, _> = serde_json::from_slice(&body);
    let created = match config {
        Ok(config) => try_create(&server, &config).await,
        Err(error) if error.is_data() => Err(format!("the configuration cannot be understood: {error}")),
        Err(error) => {
            return Err(ApiError::bad_request(format!("the request cannot be understood: {error}")));
        }
    };
    Ok(match created {
        Ok(created) => (StatusCode::CREATED, Json(created)).into_response(),
        Err(message) => {
            (StatusCode::BAD_REQUEST, Json(CreateInstanceResponse::Error { message })).into_response()
        }
    })
}

async fn try_create(server: &Server, config: &InstanceConfig) -> Result<CreateInstanceResponse, String> {
    let plan = creation::plan(config)?;
    // Before there is anything to take back.
    let gateway = config.http_gateway_config.as_ref();
    let gateway = gateway.map(|config| Ok::<_, String>((config, gateway::bind(config)?))).transpose()?;
    let slot = server.registry.create(plan.spec).await?;
    let finish = async {
        if let Some(auto_progress) = plan.auto_progress {
            progress::start(&slot, auto_progress).await?;
        }
        let info = gateway.map(|(config, listener)| gateway::start(server, &slot, config, listener));
        let info = info.transpose().map_err(ApiError::bad_request)?;
        let topology = slot.in_turn(|slot| slot.with(operations::topology)?).await??;
        Ok::<_, ApiError>((topology, info))
    };
    match finish.await {
        Ok((topology, http_gateway_info)) => {
            Ok(CreateInstanceResponse::Created { instance_id: slot.id(), topology, http_gateway_info })
        }
        Err(error) => {
            // The client does not learn the id, so nobody could ever delete it.
            remove(server, &slot).await.map_err(|error| error.message)?;
            Err(error.message)
        }
    }
}

/// Deletes an instance, and returns when its memory is free.
pub(crate) async fn delete(State(server): State<Server>, Target(slot): Target) -> Result<(), ApiError> {
    remove(&server, &slot).await
}

async fn remove(server: &Server, slot: &Arc<Slot>) -> Result<(), ApiError> {
    server.gateways.stop_of(slot.id());
    progress::stop(slot).await;
    slot.delete().await
}

/// A request to `/api` of an instance.
pub(crate) async fn handle_api(
    Target(slot): Target,
    Path(parameters): Path<ApiPath>,
    method: Method,
    body: Body,
) -> Response {
    api(&slot, &method, &parameters.path, body).await
}

/// The rest of the path.
#[derive(Deserialize)]
pub(crate) struct ApiPath {
    path: String,
}

/// A request to `/api`, of an instance or of its gateway.
pub(crate) async fn api(slot: &Arc<Slot>, method: &Method, path: &str, body: Body) -> Response {
    let answer = async {
        let body = body::read(body, PAGE_REQUEST_LIMIT_BYTES).await.map_err(https::too_large)?;
        https::answer(slot, method, path, body.bytes).await
    };
    answer.await.map_or_else(ApiError::into_text, IntoResponse::into_response)
}

pub(crate) async fn start_progress(Target(slot): Target, body: Body) -> Result<Json<()>, ApiError> {
    let body = body::read(body, JSON_BODY_LIMIT_BYTES).await?;
    let config: AutoProgressConfig = body::parse(&body)?;
    progress::start(&slot, config).await.map(Json)
}

pub(crate) async fn has_progress(Target(slot): Target) -> Json<bool> {
    Json(progress::is_enabled(&slot).await)
}

/// The body does not matter: clients send an empty string.
pub(crate) async fn stop_progress(Target(slot): Target) -> Json<()> {
    progress::stop(&slot).await;
    Json(())
}
