//! Everything is tested as its users meet it: a real PostgreSQL with a database per test, real HTTP, a real Chromium.

#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod api;
mod attach;
mod browser;
mod browser_accessibility;
mod browser_by_whom;
mod browser_day;
mod browser_faults;
mod browser_host_links;
mod browser_keys;
mod browser_lists;
mod browser_news;
mod browser_order;
mod browser_polling;
mod browser_queue;
mod browser_rows;
mod browser_scenario;
mod browser_sessions;
mod browser_tabs;
mod browser_weight;
mod by_whom;
mod cases;
mod chaos;
mod commands;
mod crowds;
mod database;
mod defaults;
mod django;
mod guide;
mod harness;
mod host_page;
mod imports;
mod latency;
mod lists;
mod news;
mod ops;
mod pages;
mod pool;
mod recording;
mod rights;
mod screenshots;
mod sessions;
mod shop;
mod shop_live;
mod statistics;
mod status;
mod streams;
mod timeline;
mod tls;
mod triggers;
mod unreadable;
mod vanishing;
mod wake;
mod wake_model;
