//! The web UI: the files that `ui/build` made, served from the binary itself, compressed as they were built.
//!
//! What is refused here: anything that computes. A page is the same bytes for everybody; every number on it comes from
//! the API. Pages of another origin can neither frame ours nor be reached by it (the Content-Security-Policy below),
//! and nothing is loaded from elsewhere, so that it works without internet.

use std::io::Read as _;

use axum::body::Body;
use axum::response::Response;
use flate2::read::GzDecoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use http::{HeaderMap, Method, StatusCode};

/// A file of the UI.
struct Asset {
    path: &'static str,
    digest: &'static str,
    brotli: &'static [u8],
    gzip: &'static [u8],
}

/// Made by build.rs; empty where the UI was not built.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The pages of CONTRACT.md. Each is the same file: what is shown is decided in the browser, by the address.
const PAGES: &[&str] = &[
    "/",
    "/setup",
    "/query",
    "/traces",
    "/logs",
    "/services",
    "/map",
    "/boards",
    "/usage",
    "/rejections",
    "/settings",
];

/// Styles of single elements come from positions that are computed; scripts and sheets come from us alone.
const POLICY: &str = "default-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; \
                      worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Said in place of a page by a server that was built without them.
const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Skein</title>\
    <body style='font:16px/1.5 system-ui;max-width:40em;margin:10vh auto;padding:0 1em'>\
    <h1>Skein runs. Its pages are not in this binary.</h1>\
    <p>They are built with Node, apart from cargo: <code>ui/build</code> and then <code>cargo build</code>, \
    or <code>make run</code>, which does both.</p>\
    <p>The API and the command line answer everything: <a href=/api/v1/openapi.json>/api/v1/openapi.json</a>, \
    <code>skein query --help</code>.</p>";

/// The answer to a request that no route of the API took; `None` when it is not for the UI either.
pub(crate) fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let page = PAGES.contains(&path) || path.strip_prefix("/trace/").is_some_and(|id| !id.contains('/'));
    let wanted = if page { "/index.html" } else { path };
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == wanted) else {
        return page.then(not_built);
    };
    Some(serve(asset, headers))
}

fn serve(asset: &Asset, headers: &HeaderMap) -> Response {
    let accepts = |coding: &str| accepts(headers, coding);
    let (coding, body) = if accepts("br") {
        ("br", Body::from(asset.brotli))
    } else if accepts("gzip") {
        ("gzip", Body::from(asset.gzip))
    } else {
        ("identity", Body::from(plain(asset)))
    };
    let tag = format!("\"{}-{coding}\"", asset.digest);
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|one| one.trim().trim_start_matches("W/") == tag))
    });
    let mut response = Response::new(if known { Body::empty() } else { body });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    // A name in assets/ has the digest of its content; every other file is asked for again.
    let cached =
        if asset.path.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let set = |out: &mut HeaderMap, name: HeaderName, value: &'static str| {
        out.insert(name, HeaderValue::from_static(value));
    };
    set(out, CACHE_CONTROL, cached);
    set(out, CONTENT_TYPE, content_type(asset.path));
    set(out, CONTENT_SECURITY_POLICY, POLICY);
    set(out, REFERRER_POLICY, "no-referrer");
    set(out, VARY, "accept-encoding");
    if coding != "identity" {
        set(out, CONTENT_ENCODING, coding);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(ETAG, tag);
    }
    response
}

/// Whether a client takes a coding: named, and not with a weight of nought.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
            let refused = parts.any(|part| {
                part.strip_prefix("q=")
                    .and_then(|weight| weight.parse::<f32>().ok())
                    .is_some_and(|weight| weight <= 0.0)
            });
            named && !refused
        })
    })
}

/// The file itself, for clients that take no coding: a few tools. What was embedded was made by our own build, so that
/// its size needs no limit here.
#[expect(clippy::disallowed_methods, reason = "the bytes are in the binary: no bomb from outside")]
fn plain(asset: &Asset) -> Vec<u8> {
    let mut bytes = Vec::new();
    match GzDecoder::new(asset.gzip).read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) => {
            tracing::error!(asset.path, %error, "an embedded file is damaged");
            Vec::new()
        }
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn not_built() -> Response {
    let mut response = Response::new(Body::from(NOT_BUILT));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const TEXT: &str = "<p>pages";

    fn asset(path: &'static str) -> Asset {
        let mut packer = flate2::read::GzEncoder::new(TEXT.as_bytes(), flate2::Compression::fast());
        let mut packed = Vec::new();
        packer.read_to_end(&mut packed).unwrap();
        Asset { path, digest: "d", brotli: b"brotli", gzip: packed.leak() }
    }

    fn asked(path: &'static str, headers: &[(HeaderName, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        serve(&asset(path), &headers)
    }

    #[tokio::test]
    async fn a_file_comes_in_the_best_coding_that_the_client_takes() {
        for (accepted, coding, body) in [
            ("gzip, deflate, br", Some("br"), "brotli"),
            ("br;q=0, identity", None, TEXT),
            ("identity", None, TEXT),
            ("brr", None, TEXT),
        ] {
            let response = asked("/index.html", &[(ACCEPT_ENCODING, accepted)]);
            let told =
                response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(told.as_deref(), coding, "{accepted}");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(bytes, body.as_bytes(), "{accepted}");
        }
        let response = asked("/index.html", &[(ACCEPT_ENCODING, "gzip")]);
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    }

    #[test]
    fn a_name_with_a_digest_is_kept_and_a_page_is_asked_for_again() {
        assert_eq!(
            asked("/assets/a-1.js", &[]).headers()[CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        let page = asked("/index.html", &[]);
        assert_eq!(page.headers()[CACHE_CONTROL], "no-cache");
        let tag = page.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(asked("/index.html", &[(IF_NONE_MATCH, &tag)]).status(), StatusCode::NOT_MODIFIED);
        // Another coding is another body.
        let other = [(IF_NONE_MATCH, tag.as_str()), (ACCEPT_ENCODING, "br")];
        assert_eq!(asked("/index.html", &other).status(), StatusCode::OK);
    }

    #[test]
    fn pages_are_got_and_nothing_else_is_taken_from_the_api() {
        let headers = HeaderMap::new();
        for path in ["/", "/query", "/trace/0af7651916cd43dd8448eb211c80319c"] {
            let response = answer(&Method::GET, path, &headers).unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
            assert!(answer(&Method::POST, path, &headers).is_none(), "{path}");
        }
        for path in ["/api/v1/nothing", "/v1/traces", "/trace/a/b", "/queries", "/assets/../index.html"] {
            assert!(answer(&Method::GET, path, &headers).is_none(), "{path}");
        }
    }
}
