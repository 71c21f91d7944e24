//! How answers look: JSON, and a sentence where something is refused.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A JSON document.
pub(crate) fn json(document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(bytes) => with_type(bytes, "application/json"),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written: {error}")),
    }
}

/// Bytes of a type.
pub(crate) fn with_type(bytes: impl Into<axum::body::Body>, kind: &'static str) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

/// What is wrong, in a sentence.
pub(crate) fn refusal(status: StatusCode, sentence: impl Into<String>) -> Response {
    let mut response = json(&Refusal { error: sentence.into() });
    *response.status_mut() = status;
    response.into_response()
}

/// A wrong request.
pub(crate) fn wrong(sentence: impl Into<String>) -> Response {
    refusal(StatusCode::BAD_REQUEST, sentence)
}
