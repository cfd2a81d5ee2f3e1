module posixipc

go 1.24

// Its source comes with the generator of the bindings; tools/setup-guests puts it in place.
require go.bytecodealliance.org/pkg v0.4.0
