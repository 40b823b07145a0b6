//! Measures OnCare Live beside two peers on a PostgreSQL of its own, and says whether the targets are met.
//!
//! The peers are `floor`, the least that can deliver an event, and `tutorial`, what a tutorial would have you write
//! ([`peer`]). They and the service run as processes of their own ([`system`]). This process plays the browsers
//! ([`fleet`]) and the clients that write ([`writers`]), reads what the kernel accounts for the others ([`measure`]), and
//! keeps the figures ([`results`], [`targets`], [`plots`]). Every update has an amount of its own, by which it is
//! recognised where it arrives ([`wire`], [`delivery`]). What is measured stands in [`scenarios`], how much of it in
//! [`plan`].

pub mod bench;
pub mod databases;
pub mod delivery;
pub mod disk;
pub mod django;
pub mod fleet;
pub mod http;
pub mod measure;
pub mod open_files;
pub mod options;
pub mod peer;
pub mod plan;
pub mod plots;
pub mod results;
pub mod samples;
pub mod scenarios;
pub mod session;
pub mod system;
pub mod targets;
pub mod wire;
pub mod writers;
