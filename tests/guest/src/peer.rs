//! `probe peer`: what a guest does together with a native program.
pub fn main(_: &[&str]) {}
