//! The lists of orders: their pages, the same as JSON and for a spreadsheet, and the views that people save.

pub(super) mod api;
pub(super) mod export;
pub(super) mod pages;
pub(super) mod saved_views;
mod view;
