//! Pictures of every page, not a test: `make screenshots` takes them, for people to look at.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::browser::Browser;
use crate::harness::gallery::{Look, SCHEMES, WIDTHS, demonstration, exhibits, walk};

/// No picture is higher, in pixels: the rest of a list looks like its beginning.
const HIGHEST: f64 = 1_800.0;

/// What people print.
const PRINTED: [&str; 3] = ["my-orders", "order", "queue"];

/// A sheet of A4 between its margins, in CSS pixels, printed by somebody whose screen is dark.
const SHEET: Look = Look { width: 718, height: 1_046, scheme: "dark", is_touched: false };

async fn picture(browser: &Browser, width: u32, least: u32) -> Vec<u8> {
    let height = browser.script("document.documentElement.scrollHeight").await.as_f64().unwrap();
    let clip = json!({ "x": 0, "y": 0, "width": width, "height": height.clamp(f64::from(least), HIGHEST), "scale": 1 });
    let how = json!({ "format": "webp", "quality": 60, "captureBeyondViewport": true, "clip": clip });
    let taken = browser.devtools("Page.captureScreenshot", how).await;
    STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
}

#[tokio::test]
#[ignore = "takes pictures: run it with `make screenshots`"]
async fn of_every_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let (database, service) = demonstration().await;
    let exhibits = exhibits(&database).await;
    walk(&service, &exhibits, async |browser, exhibit| {
        let take = async |name: String, width, height| {
            std::fs::write(folder.join(name), picture(browser, width, height).await).unwrap();
        };
        for (width, height, is_touched) in WIDTHS {
            for scheme in SCHEMES {
                exhibit.visit(&database, browser, Look { width, height, scheme, is_touched }).await;
                take(format!("{}-{width}-{scheme}.webp", exhibit.name), width, height).await;
            }
        }
        if PRINTED.contains(&exhibit.name) {
            exhibit.visit(&database, browser, SHEET).await;
            browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
            take(format!("{}-print.webp", exhibit.name), SHEET.width, SHEET.height).await;
        }
    })
    .await;
}
