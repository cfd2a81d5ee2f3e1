//! Mappings: objects mapped into the memory of a guest, and that nothing but the
//! guest's loads, stores and atomics reaches them.

mod atomics;
mod grants;
mod harness;
mod life;
mod rejected;
mod sdk;
mod shrunk;
