//! What everybody must be able to use: axe-core finds nothing on any page, nothing that can be pressed is over something else, and
//! a page at twice its size needs no sideways scrolling.

use std::path::Path;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::gallery::{Look, SCHEMES, WIDTHS, browser_of, demonstration, exhibits, walk};
use crate::harness::scene::Scene;

/// Where `scripts/install-axe` puts it.
const AXE: &str = "target/axe/node_modules/axe-core/axe.min.js";

/// How closely axe-core looks at a page.
#[derive(Debug, Clone, Copy)]
enum Closely {
    /// At everything, by every rule.
    Everything,
    /// By every rule, but not at rows that differ from one before them in texts alone.
    DifferentRows,
    /// At the same, by the rules for which it matters which colours a page has. Nothing else differs where only these do.
    Colours,
}

/// The rows of a list that have the same markup as one before them.
const REPEATED: &str = "((seen) => [...document.querySelectorAll('#orders-table-tbody tr')].filter((row) => {
        const own = / (id|href|name|value|title|datetime|aria-label|data-order-id|data-revision)=\"[^\"]*\"/g;
        const markup = row.outerHTML.replaceAll(/>[^<]*</g, '><').replaceAll(own, '');
        return seen.has(markup) || !seen.add(markup);
    }))(new Set())";

/// What axe-core has against the page as it is: each rule, and the elements that break it.
async fn violations(browser: &Browser, closely: Closely) -> Vec<String> {
    if browser.script("'axe' in window").await != true {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
        let axe = std::fs::read_to_string(&path).expect("axe-core is there; install it with `make tools`");
        browser.client.execute(&axe, Vec::new()).await.unwrap();
    }
    let (excluded, rules, fewest) = match closely {
        Closely::Everything => ("[]", json!({}), 11),
        Closely::DifferentRows => (REPEATED, json!({}), 11),
        Closely::Colours => (REPEATED, json!({ "runOnly": ["color-contrast", "link-in-text-block"] }), 1),
    };
    let run = format!(
        "const [rules, done] = arguments;
        axe.run({{ include: document, exclude: {excluded} }}, {{ resultTypes: ['violations'], ...rules }})
            .then((found) => done(found), (error) => done(String(error)));"
    );
    let found = browser.client.execute_async(&run, vec![rules]).await.unwrap();
    let broken = found["violations"].as_array().unwrap_or_else(|| panic!("axe-core runs: {found}"));
    assert!(found["passes"].as_array().is_some_and(|passed| passed.len() >= fewest), "axe-core looked at the page");
    let told = |rule: &Value| {
        let nodes = rule["nodes"].as_array().into_iter().flatten();
        let where_: Vec<String> = nodes.map(|node| format!("{}: {}", node["target"], node["failureSummary"])).collect();
        format!("{}: {}\n    {}", rule["id"], rule["help"], where_.join("\n    "))
    };
    broken.iter().map(told).collect()
}

#[tokio::test]
async fn axe_finds_nothing_on_any_page() {
    let (database, service) = demonstration().await;
    let exhibits = exhibits(&database).await;
    let mut found = Vec::new();
    walk(&service, &exhibits, async |browser, exhibit| {
        let [light, dark] = SCHEMES;
        for ((width, height, is_touched), closely) in
            [(WIDTHS[0], Closely::Everything), (WIDTHS[2], Closely::DifferentRows)]
        {
            exhibit.visit(&database, browser, Look { width, height, scheme: light, is_touched }).await;
            let mut faults = violations(browser, closely).await;
            let ill = browser.script(ILL_PLACED).await;
            if ill != json!([]) {
                faults.push(ill.to_string());
            }
            found.extend(faults.iter().map(|fault| format!("{} {width} {light}: {fault}", exhibit.name)));
            exhibit.look_again(&database, browser, Look { width, height, scheme: dark, is_touched }).await;
            let faults = violations(browser, Closely::Colours).await;
            found.extend(faults.iter().map(|fault| format!("{} {width} {dark}: {fault}", exhibit.name)));
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
            for fault in [WIDER_THAN_THE_WINDOW, ILL_PLACED] {
                let faulty = browser.script(fault).await;
                if faulty != json!([]) {
                    found.push(format!("{} at {width} pixels: {faulty}", exhibit.name));
                }
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

/// Controls of one layer of the page that are over each other, and fields that are too narrow to be read.
const ILL_PLACED: &str = "(() => {
        const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getBoundingClientRect().width > 1;
        const layer = (element) => element.closest('dialog, [popover], .controls, .notices, .selection, .toasts');
        const controls = [...document.querySelectorAll('a, button, input, select, textarea, summary')].filter(isShown);
        const over = (one, other) => {
            if (layer(one) !== layer(other) || one.contains(other) || other.contains(one)) return false;
            const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
            const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            return width > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
        };
        const name = (element) => element.textContent.trim() || element.name;
        const pairs = controls.flatMap((one, at) => controls.slice(at + 1).filter((other) => over(one, other))
            .map((other) => `${name(one)} and ${name(other)} are over each other`));
        const fields = controls.filter((field) => field.matches('input:not([type=checkbox], [type=radio]), select, textarea'));
        const narrow = fields.filter((field) => field.getBoundingClientRect().width < 88);
        return [...pairs, ...narrow.map((field) => `${field.name} is narrow`)];
    })()";

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

/// What a screen reader is given of the page: the role and the name of each element.
async fn accessible(browser: &Browser) -> Vec<(String, String)> {
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({})).await;
    let text = |node: &Value, property: &str| node[property]["value"].as_str().unwrap_or_default().to_owned();
    let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false);
    nodes.map(|node| (text(node, "role"), text(node, "name"))).collect()
}

#[tokio::test]
async fn a_list_is_a_table_at_every_width_and_every_link_in_it_has_a_name_of_its_own() {
    let (_database, service) = demonstration().await;
    for (who, path) in [("ana", "/orders/orders/"), ("rx", "/orders/pharmacist/orders/")] {
        let browser = browser_of(&service, who).await;
        for width in [1280, 820, 390] {
            browser.resize(width).await;
            browser.goto(path).await;
            browser.state("live").await;
            let tree = accessible(&browser).await;
            let count = |role: &str| tree.iter().filter(|(found, _)| found == role).count();
            let rows = "document.querySelectorAll('#orders-table-tbody tr').length";
            let rows = usize::try_from(browser.script(rows).await.as_u64().unwrap()).unwrap();
            assert!(count("row") >= rows && rows == 20, "{path} at {width}: {} rows", count("row"));
            assert!(count("cell") + count("gridcell") >= 8 * rows, "{path} at {width}: {} cells", count("cell"));
            assert_eq!(count("table"), 1, "{path} at {width}");
            // other browsers take a table's roles from its look, unless they are said
            let unsaid = "document.querySelectorAll('.orders :is(thead, tbody, tr, td, th):not([role])').length";
            assert_eq!(browser.script(unsaid).await, 0, "{path} at {width}");
            let mut names: Vec<&String> =
                tree.iter().filter(|(role, _)| role == "link").map(|(_, name)| name).collect();
            names.retain(|name| {
                ["View", "Edit", "Cancel"]
                    .iter()
                    .any(|action| *name == action || name.starts_with(&format!("{action} ")))
            });
            names.sort_unstable();
            // on a phone the order's number alone leads to it
            assert!(names.len() >= rows || width == 390, "{path}: {names:?}");
            let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
            assert!(twice.is_empty(), "{path} at {width}: links of one name: {twice:?}");
        }
        browser.close().await;
    }
}

#[tokio::test]
async fn one_key_shortcuts_can_be_switched_off_by_whoever_uses_the_browser() {
    let Scene { database: _database, service: _service, proxy: _proxy, browser } = Scene::new().await;
    let press = async |key: &str| {
        let pressed = format!(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true, cancelable: true }}))"
        );
        // what is prevented is a key that did something
        browser.script(&pressed).await == false
    };
    assert!(press("j").await);
    browser.click("#keys-button").await;
    browser.click("#keys-on").await;
    // a click beside the dialog closes it
    let outside = json!({ "type": "mousePressed", "x": 5, "y": 5, "button": "left", "clickCount": 1 });
    browser.devtools("Input.dispatchMouseEvent", outside).await;
    let outside = json!({ "type": "mouseReleased", "x": 5, "y": 5, "button": "left", "clickCount": 1 });
    browser.devtools("Input.dispatchMouseEvent", outside).await;
    browser.until("!document.getElementById('keys').open").await;
    for key in ["j", "k", "/", "?"] {
        assert!(!press(key).await, "{key}");
    }
    browser.goto("/accounts/preferences/").await;
    browser
        .until("document.getElementById('keys-on').checkVisibility() && !document.getElementById('keys-on').checked")
        .await;
    browser.goto("/orders/orders/").await;
    browser.state("live").await;
    assert!(!press("j").await, "it is kept");
    // another person in the same browser has chosen nothing
    browser.follow(".person form button").await;
    browser.fill_in_login("ben").await;
    browser.state("live").await;
    assert!(press("j").await);
    browser.follow(".person form button").await;
    browser.fill_in_login("ana").await;
    browser.goto("/accounts/preferences/").await;
    browser.click("#keys-on").await;
    browser.goto("/orders/orders/").await;
    browser.state("live").await;
    assert!(press("j").await);
    browser.close().await;
}

#[tokio::test]
async fn the_first_stop_skips_what_every_page_begins_with() {
    let Scene { database: _database, service: _service, proxy: _proxy, browser } = Scene::new().await;
    for path in ["/orders/orders/", "/orders/orders/1/", "/accounts/preferences/", "/orders/orders/1/edit/"] {
        browser.goto(path).await;
        let press = async |key: &str| {
            browser.client.active_element().await.unwrap().send_keys(key).await.unwrap();
        };
        press(&Key::Tab.to_string()).await;
        assert_eq!(browser.script("document.activeElement.textContent").await, "Skip to the content", "{path}");
        assert_eq!(
            browser.script("document.activeElement.getBoundingClientRect().height > 20").await,
            true,
            "it is seen"
        );
        press(&Key::Enter.to_string()).await;
        browser.until("document.activeElement === document.querySelector('main')").await;
        press(&Key::Tab.to_string()).await;
        assert_eq!(browser.script("document.activeElement.closest('main') !== null").await, true, "{path}");
    }
    browser.close().await;
}

#[tokio::test]
async fn after_a_wrong_password_the_focus_is_where_the_right_one_goes() {
    let Scene { database: _database, service, proxy: _proxy, browser: ana } = Scene::new().await;
    ana.close().await;
    let browser = Browser::open(&service.base()).await;
    browser.goto("/accounts/login/").await;
    browser.until("document.activeElement.name === 'username'").await;
    browser.fill_in("[name=username]", "ana").await;
    browser.fill_in("[name=password]", "wrong").await;
    browser.follow("form.panel button").await;
    browser.until("document.activeElement.name === 'password' && document.activeElement.value === ''").await;
    assert_eq!(browser.script("document.querySelector('[name=username]').value").await, "ana");
    browser.close().await;
}

#[tokio::test]
async fn on_an_orders_page_a_screen_reader_hears_of_other_orders_what_toasts_show() {
    let Scene { database, service: _service, proxy: _proxy, browser } = Scene::new().await;
    browser.goto("/orders/orders/1/").await;
    browser.state("live").await;
    browser
        .until(
            "performance.getEntriesByType('resource').some((e) => e.name.includes('/changes/') && e.responseEnd > 0)",
        )
        .await;
    browser.listen().await;
    let by_rx = "select set_config('app.user', 'rx', false); update orders_order set status = 'shipped' where id = ";
    database.sql(&format!("{by_rx} 2")).await;
    browser.until_said("ORD-2025-00002: Processing → Shipped, by rx.").await;
    database.sql(&format!("{by_rx} 1")).await;
    browser.until_said("Status: Pending → Shipped").await;
    let said = browser.script("window.said.filter(([, text]) => text.includes('ORD-2025-00001')).length").await;
    assert_eq!(said, 0, "of its own order the page says it once, in the timeline's words");
    browser.close().await;
}
