//! The pictures of the documents, taken by a browser.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::real::Browser;
use crate::server::busy;
use crate::serving::Served;

use super::root;

/// Fonts differ by machine, so pictures are not compared: they are there, and can be taken again.
#[test]
fn the_status_page_is_shown_in_both_themes() {
    let served = Served::start(busy());
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    let size = json!({"width": 1000, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    browser.devtools("Emulation.setDeviceMetricsOverride", size);
    let mut pictures = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", feature);
        let taken = browser.devtools("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        let file = root().join(format!("docs/pictures/status-{scheme}.png"));
        #[expect(
            clippy::disallowed_methods,
            reason = "how a test is told to rewrite what it makes"
        )]
        if std::env::var_os("UPDATE_PICTURES").is_some() {
            fs::write(&file, &bytes).unwrap();
        }
        assert!(fs::read(&file).unwrap().starts_with(b"\x89PNG"), "{}", file.display());
        pictures.push(bytes);
    }
    assert_ne!(pictures[0], pictures[1], "the themes look the same");
    served.end();
}
