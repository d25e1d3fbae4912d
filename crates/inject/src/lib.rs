//! How values come into a program that Touchkeep starts, and do not come out of it again.
//!
//! Env files and templates name values by reference; the program gets them in its environment or as files that end with it; what
//! it prints is masked, on a terminal that stays a terminal. This crate asks nobody for a value and knows no vault: whoever calls
//! it has the values already.
//!
//! Read in this order: [`envfile`] and [`template`] (what is asked for), [`forms`] and [`mask`] (what must not be seen), [`program`]
//! (what is started), [`supervise`] and [`terminal`] (how it is watched), [`mount`].

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

pub mod envfile;
pub mod forms;
pub mod mask;
pub mod monitor;
pub mod mount;
pub mod program;
pub mod supervise;
pub mod template;
pub mod terminal;

mod flow;
mod sys;
