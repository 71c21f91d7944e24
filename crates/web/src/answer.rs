//! How answers look: JSON, and a sentence where something is refused.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A JSON document.
pub(crate) fn json(document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(bytes) => with_type(bytes, "application/json"),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Bytes of a type.
pub(crate) fn with_type(bytes: impl Into<axum::body::Body>, kind: &'static str) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What is wrong, in a sentence.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    sentence: String,
}

/// A refusal with a status of HTTP.
pub(crate) fn refusal(status: StatusCode, sentence: impl Into<String>) -> Refusal {
    Refusal { status, sentence: sentence.into() }
}

/// A wrong request.
pub(crate) fn wrong(sentence: impl Into<String>) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, sentence)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(&serde_json::json!({ "error": self.sentence }));
        *response.status_mut() = self.status;
        response
    }
}
