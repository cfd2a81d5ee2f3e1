//! A name that a guest may use, and for what.

use crate::grant::{Found, Grant, Lifecycle};

/// The outcome of looking a name up.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    /// The name that the guest uses.
    pub(crate) guest_name: String,
    /// The name that the operating system is given.
    pub(crate) host_name: String,
    pub(crate) grant: Grant,
    /// Which of the guest's grants it is.
    pub(super) index: usize,
}

impl Permit {
    pub(super) fn new(guest_name: &str, found: Found<'_>) -> Self {
        Self {
            guest_name: guest_name.into(),
            host_name: found.host_name.as_str().into(),
            grant: found.grant.clone(),
            index: found.index,
        }
    }

    /// Whether what the guest may do with the object depends on who created it.
    pub(crate) fn depends_on_creator(&self) -> bool {
        self.grant.lifecycle() == Lifecycle::Create
    }
}
