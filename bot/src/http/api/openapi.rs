//! Owns the description of the API for programs: OpenAPI 3.1, made from the handlers themselves.
//! Refuses to lag behind: a test compares it with the table of routes.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::super::problem::Problem;
use super::super::tokens;
use super::{commands, letters, reading};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidegate",
        description = "Commands of people and everything there is to see. Errors are problems of RFC 9457 with a stable code."
    ),
    paths(
        super::whoami,
        commands::say,
        reading::rollouts,
        reading::rollout,
        reading::log,
        reading::plans,
        reading::alerts,
        reading::server_log,
        letters::list,
        letters::retry,
        tokens::list,
        tokens::create,
        tokens::revoke,
    ),
    components(schemas(Problem)),
    security(("token" = []))
)]
struct Document;

/// The whole description.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
    document
}

pub(super) async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
