//! Several programs together, native and sandboxed: what shell scripts do with objects.

mod objects;
