//! What everybody must be able to use: axe-core finds nothing on any page, and a page at twice its size needs no sideways
//! scrolling.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::gallery::{Look, SCHEMES, WIDTHS, browser_of, demonstration, exhibits, walk};
use crate::harness::scene::Scene;

/// Where `scripts/install-axe` puts it.
const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

/// What axe-core has against the page as it is: each rule, and the elements that break it.
async fn violations(browser: &Browser) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
    let axe = std::fs::read_to_string(&path).expect("axe-core is there; install it with `make tools`");
    browser.client.execute(&axe, Vec::new()).await.unwrap();
    let run = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found), (error) => done(String(error)));";
    let found = browser.client.execute_async(run, Vec::new()).await.unwrap();
    let rules = found["violations"].as_array().unwrap_or_else(|| panic!("axe-core runs: {found}"));
    assert!(found["passes"].as_array().is_some_and(|passed| passed.len() > 10), "axe-core looked at the page");
    let told = |rule: &Value| {
        let nodes = rule["nodes"].as_array().into_iter().flatten();
        let where_: Vec<String> = nodes.map(|node| format!("{}: {}", node["target"], node["failureSummary"])).collect();
        format!("{}: {}\n    {}", rule["id"], rule["help"], where_.join("\n    "))
    };
    rules.iter().map(told).collect()
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page() {
    let (database, service) = demonstration().await;
    let exhibits = exhibits(&database).await;
    let mut found = Vec::new();
    walk(&service, &exhibits, async |browser, exhibit| {
        for (width, height, is_touched) in [WIDTHS[0], WIDTHS[2]] {
            for scheme in SCHEMES {
                exhibit.visit(&database, browser, Look { width, height, scheme, is_touched }).await;
                let here = violations(browser).await;
                found.extend(here.iter().map(|rule| format!("{} {width} {scheme}: {rule}", exhibit.name)));
            }
        }
    })
    .await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn twice_as_large_nothing_is_cut_off_and_nobody_scrolls_sideways() {
    let (database, service) = demonstration().await;
    let exhibits = exhibits(&database).await;
    let mut found = Vec::new();
    walk(&service, &exhibits, async |browser, exhibit| {
        // a window of 1280 pixels at 200 % has 640 of its own; one of a phone at 200 %, about 320
        for width in [640, 320] {
            exhibit.visit(&database, browser, Look { width, height: 450, scheme: "light", is_touched: false }).await;
            let wide = browser.script(WIDER_THAN_THE_WINDOW).await;
            if wide != json!([]) {
                found.push(format!("{} at {width} pixels: {wide}", exhibit.name));
            }
        }
    })
    .await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn a_sheet_of_paper_is_light_has_the_table_and_nothing_to_press() {
    let (_database, service) = demonstration().await;
    let browser = browser_of(&service, "ana").await;
    browser.goto("/orders/orders/").await;
    browser.state("live").await;
    browser.resize(718).await;
    assert_eq!(browser.script("getComputedStyle(document.querySelector('thead')).display").await, "none", "cards");
    let dark = json!({ "name": "prefers-color-scheme", "value": "dark" });
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print", "features": [dark] })).await;
    for (what, looks) in [
        ("getComputedStyle(document.querySelector('thead')).display", "table-header-group"),
        ("getComputedStyle(document.body).color", "rgb(23, 32, 43)"),
        (
            "[...document.querySelectorAll('button, input, .action')].filter((e) => e.checkVisibility()).length + ''",
            "0",
        ),
        ("document.querySelectorAll('#orders-table-tbody tr').length + ''", "20"),
    ] {
        assert_eq!(browser.script(what).await, looks, "{what}");
    }
    assert_eq!(browser.script(WIDER_THAN_THE_WINDOW).await, json!([]));
    browser.close().await;
}

/// What reaches beyond the window, sideways, and is not meant to be unseen.
const WIDER_THAN_THE_WINDOW: &str = "[...document.querySelectorAll('body *')].filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width > 1 && box.right > innerWidth + 1 && element.checkVisibility({ visibilityProperty: true })
            && !element.closest('svg, .visually-hidden');
    }).map((element) => `${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 40)}`)";

#[tokio::test]
async fn an_offer_is_told_once_and_leaves_the_focus_at_the_list() {
    let Scene { database, service: _service, proxy: _proxy, browser } = Scene::new().await;
    browser.listen().await;
    database.orders("(4, 1, 'pending', 'paid', 1)").await;
    browser.until_said("1 order entered · Update").await;
    database.sql("update orders_order set total_amount = 5 where id = 1").await;
    browser.until_said("→ ₱5.00").await;
    let offers = "window.said.filter(([, text]) => text.includes('entered')).length";
    assert_eq!(browser.script(offers).await, 1, "an offer that stands is not told again");
    browser.script("document.getElementById('list-notice').focus() ?? true").await;
    database.sql("delete from orders_order where id = 4").await;
    browser.until("document.getElementById('list-notice').hidden").await;
    assert_eq!(browser.script("document.activeElement.id").await, "orders-list");
    browser.close().await;
}
