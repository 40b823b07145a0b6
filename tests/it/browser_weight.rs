//! What a page costs somebody on a phone: bytes over the wire.

use serde_json::json;

use crate::harness::gallery::{browser_of, demonstration};

/// Most that a list of twenty rows may weigh on its first load, in bytes as sent, compressed: HTML, CSS and JavaScript.
const MOST: u64 = 60_000;

/// Each file of the page and its bytes as sent, without its head.
const LOADED: &str = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter((entry) => ['navigation', 'link', 'script', 'other', 'css', 'img'].includes(entry.initiatorType))
    .map((entry) => [new URL(entry.name).pathname, entry.encodedBodySize])";

/// Each script that the page itself names.
const NAMED: &str = "[...new Set([...document.querySelectorAll('link[rel=modulepreload], script')]
    .map(({ href, src }) => new URL(href ?? src).pathname))].sort()";

#[tokio::test]
async fn a_list_of_twenty_rows_weighs_less_than_sixty_kilobytes() {
    let (_database, service) = demonstration().await;
    for (who, path) in [("ana", "/orders/orders/"), ("rx", "/orders/pharmacist/orders/")] {
        let browser = browser_of(&service, who).await;
        browser.devtools("Network.enable", json!({})).await;
        browser.devtools("Network.setCacheDisabled", json!({ "cacheDisabled": true })).await;
        browser.goto(path).await;
        browser.state("live").await;
        assert_eq!(browser.script("document.querySelectorAll('#orders-table-tbody tr').length").await, 20);
        let loaded = browser.script(LOADED).await;
        let files: Vec<(String, u64)> = serde_json::from_value(loaded).unwrap();
        let kinds = |ending: &str| files.iter().filter(|(name, _)| name.ends_with(ending)).count();
        assert!(files.iter().all(|(_, bytes)| *bytes > 0), "nothing came from a cache: {files:?}");
        assert!(kinds(".js") > 10 && kinds(".css") == 1 && kinds("/") >= 1, "all of the page: {files:?}");
        let named = browser.script(NAMED).await;
        let mut scripts: Vec<&str> =
            files.iter().map(|(name, _)| name.as_str()).filter(|name| name.ends_with(".js")).collect();
        scripts.sort_unstable();
        assert_eq!(named, json!(scripts), "the page itself names every script that it loads");
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        println!("{path} weighs {bytes} bytes in {} files", files.len());
        assert!(bytes < MOST, "{path} weighs {bytes} bytes: {files:?}");
        let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
        browser.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": true })).await;
        browser.devtools("Emulation.setDeviceMetricsOverride", phone).await;
        let bottom = "document.querySelector('#orders-table-tbody tr').getBoundingClientRect().bottom";
        let bottom = browser.script(&format!("Math.ceil({bottom})")).await.as_u64().unwrap();
        assert!(bottom <= 844, "{path}: the first order is on a phone's first screen: {bottom}");
        browser.close().await;
    }
}
