//! What a guest can do and what it cannot, and what is left of it.

mod audit;
mod engine;
mod grants;
mod interruptions;
mod learn;
mod lifetime;
mod peers;
mod pollables;
