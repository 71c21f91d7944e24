//! The page's files, all of them within the program.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::answer::{refusal, with_type};

/// The description of the API.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Files by name. uPlot 1.6.32 is vendored as npm has it, with its licence.
const FILES: &[(&str, &str, &str)] = &[
    ("page.css", STYLE, include_str!("../assets/page.css")),
    ("page.js", SCRIPT, include_str!("../assets/page.js")),
    ("list.js", SCRIPT, include_str!("../assets/list.js")),
    ("detail.js", SCRIPT, include_str!("../assets/detail.js")),
    ("failure.js", SCRIPT, include_str!("../assets/failure.js")),
    ("health.js", SCRIPT, include_str!("../assets/health.js")),
    ("chart.js", SCRIPT, include_str!("../assets/chart.js")),
    ("format.js", SCRIPT, include_str!("../assets/format.js")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ("uPlot.iife.min.js", SCRIPT, include_str!("../assets/uplot/uPlot.iife.min.js")),
    ("uPlot.min.css", STYLE, include_str!("../assets/uplot/uPlot.min.css")),
    ("uPlot.LICENSE.txt", "text/plain; charset=utf-8", include_str!("../assets/uplot/LICENSE")),
];

/// The page.
pub(crate) fn page() -> Response {
    with_type(include_str!("../assets/index.html"), "text/html; charset=utf-8")
}

/// `GET /assets/NAME`.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(known, _, _)| *known == name) else {
        return refusal(StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let mut response = with_type(*text, kind);
    // Another version of the program has other files under the same names.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
