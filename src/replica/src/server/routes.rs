//! Every path of the protocol: the ones that are served and the ones that are not.
use super::error::ApiError;
use super::{Server, blobs, browsers, gateway, instances, operations};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use instances::{calling, reading};

/// Parts of the protocol that the replica answers with an error which names them, and what to do instead.
pub(crate) const UNSUPPORTED: [(&str, &str); 6] = [
    ("/api.json", "docs/replica.md lists what is served"),
    ("/verify_signature", "verify it in the test: signatures of canisters are not checked here"),
    (
        "/read_graph/{state_label}/{op_id}",
        "every operation is answered at once, none is ever to be asked for",
    ),
    (
        "/prune_graph/{state_label}/{op_id}",
        "every operation is answered at once, none is ever to be asked for",
    ),
    ("/instances/{id}/_/dashboard", "ask for the topology and the status of canisters"),
    ("/instances/{id}/update/mock_flexible_canister_http", "let the canister use `http_request`"),
];

/// Every path that is served, and how.
fn served() -> Vec<(&'static str, MethodRouter<Server>)> {
    vec![
        ("/status", get(async || ())),
        ("/blobstore", post(blobs::post)),
        ("/blobstore/{id}", get(blobs::get)),
        ("/instances", get(instances::list).post(instances::create)),
        ("/instances/{id}", axum::routing::delete(instances::delete)),
        ("/instances/{id}/_/topology", reading(operations::topology)),
        ("/instances/{id}/auto_progress", get(instances::has_progress).post(instances::start_progress)),
        ("/instances/{id}/stop_progress", post(instances::stop_progress)),
        ("/instances/{id}/read/topology", reading(operations::topology)),
        ("/instances/{id}/read/get_time", reading(operations::get_time)),
        ("/instances/{id}/read/get_canister_http", reading(operations::get_canister_http)),
        ("/instances/{id}/read/query", calling(operations::query)),
        ("/instances/{id}/read/get_controllers", calling(operations::get_controllers)),
        ("/instances/{id}/read/get_cycles", calling(operations::get_cycles)),
        ("/instances/{id}/read/get_stable_memory", calling(operations::get_stable_memory)),
        ("/instances/{id}/read/get_subnet", calling(operations::get_subnet)),
        ("/instances/{id}/read/pub_key", calling(operations::pub_key)),
        ("/instances/{id}/read/ingress_status", calling(operations::ingress_status)),
        ("/instances/{id}/update/submit_ingress_message", calling(operations::submit)),
        ("/instances/{id}/update/execute_ingress_message", calling(operations::execute_ingress)),
        ("/instances/{id}/update/await_ingress_message", calling(operations::await_ingress)),
        ("/instances/{id}/update/set_time", calling(operations::set_time)),
        ("/instances/{id}/update/set_certified_time", calling(operations::set_certified_time)),
        ("/instances/{id}/update/add_cycles", calling(operations::add_cycles)),
        ("/instances/{id}/update/set_stable_memory", post(instances::set_stable_memory)),
        ("/instances/{id}/update/tick", calling(operations::tick)),
        ("/instances/{id}/update/mock_canister_http", calling(operations::mock_canister_http)),
        ("/instances/{id}/update/canister_snapshot_download", calling(operations::download_snapshot)),
        ("/instances/{id}/update/canister_snapshot_upload", calling(operations::upload_snapshot)),
        ("/instances/{id}/update/delete_subnet", calling(operations::delete_subnet)),
        ("/instances/{id}/api/{*path}", any(instances::handle_api)),
        ("/http_gateway", get(gateway::list).post(gateway::create)),
        ("/http_gateway/{id}/stop", post(gateway::stop)),
    ]
}

/// The whole server.
pub(crate) fn router(server: Server) -> Router {
    let served =
        served().into_iter().fold(Router::new(), |router, (path, methods)| both(router, path, methods));
    UNSUPPORTED
        .into_iter()
        .fold(served, |router, (path, instead)| {
            let answer = async move |method: Method, uri: Uri| {
                ApiError::unsupported(&format!("{method} {}", uri.path()), instead)
            };
            both(router, path, any(answer))
        })
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(server.clone(), guarded))
        .with_state(server)
}

/// Clients write some paths with a slash at the end and some without.
fn both(router: Router<Server>, path: &str, methods: MethodRouter<Server>) -> Router<Server> {
    if path.ends_with("{*path}") {
        return router.route(path, methods);
    }
    router.route(path, methods.clone()).route(&format!("{path}/"), methods)
}

/// Handles a request, unless a web page sent it, in a task of its own, which goes on when the client hangs up and
/// whose panic is no more than an answer.
async fn guarded(State(server): State<Server>, request: Request, next: Next) -> Response {
    let checked = browsers::check_host(request.headers(), request.uri(), &[])
        .and_then(|()| browsers::refuse_pages(request.headers()));
    if let Err(refused) = checked {
        return refused.into_response();
    }
    let pending = server.activity.begin();
    let task = tokio::spawn(async move {
        let _pending = pending;
        next.run(request).await
    });
    task.await.unwrap_or_else(|error| {
        ApiError::internal(format!("the request was not handled: {error}")).into_response()
    })
}

async fn unknown_path(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {method} {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(format!("{} does not take {method}", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::creation;

    /// The lists of `docs/replica.md`, between these lines.
    const BEGIN: &str = "<!-- endpoints: a test compares this with the code -->\n";
    const END: &str = "<!-- end of endpoints -->";

    fn page() -> String {
        let paths: Vec<String> = served().iter().map(|(path, _)| format!("`{path}`")).collect();
        let row = |(name, instead): &(&str, &str)| format!("| `{name}` | {instead} |\n");
        format!(
            "Served: {}.\n\n| not served | instead |\n|---|---|\n{}\n| refused in a configuration | instead |\n|---|---|\n{}",
            paths.join(", "),
            UNSUPPORTED.iter().map(row).collect::<String>(),
            creation::UNSUPPORTED.iter().map(row).collect::<String>(),
        )
    }

    #[test]
    fn the_documentation_lists_every_path_as_the_tables_have_it() {
        let docs = include_str!("../../../../docs/replica.md");
        let listed = docs.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(list, _)| list);
        assert_eq!(listed, Some(page().as_str()), "docs/replica.md should list:\n{}", page());
    }
}
