//! The files of the page. `build.rs` makes the table.

/// A file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Its place below the root: `/index.html`.
    pub(crate) path: &'static str,
    /// What it is.
    pub(crate) kind: &'static str,
    /// Tells it from other builds of it; with its quotes.
    pub(crate) etag: &'static str,
    /// Its name changes with its content, so that it may be kept for ever.
    pub(crate) is_immutable: bool,
    /// As it is.
    pub(crate) bytes: &'static [u8],
    /// Packed, where that is worth it.
    pub(crate) gzip: Option<&'static [u8]>,
}

/// Empty in a debug build without `web/dist`; a release build without it does not come about.
pub(crate) static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What such a build shows.
pub(crate) static NOTICE: Asset = Asset {
    path: "/index.html",
    kind: "text/html; charset=utf-8",
    etag: "\"notice\"",
    is_immutable: false,
    bytes: b"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
        <meta name=\"viewport\" content=\"width=device-width\">\n<title>Relais hub</title>\n\
        <h1>The page is not part of this build</h1>\n\
        <p>Run <code>make ui</code> in the workspace, build the hub again and restart it.\n\
        <p>The hub itself works: <a href=\"/api/v1/status\">its status</a>, <a href=\"/openapi.json\">its API</a>.\n",
    gzip: None,
};
