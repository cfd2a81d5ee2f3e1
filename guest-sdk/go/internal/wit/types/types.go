// Package types has what the generated bindings build results of.
package types

// Unit is nothing.
type Unit struct{}

// Option is a value or none.
type Option[T any] struct {
	some  bool
	value T
}

// The tags of an Option.
const (
	OptionNone = 0
	OptionSome = 1
)

// Some is a value.
func Some[T any](value T) Option[T] { return Option[T]{true, value} }

// None is none.
func None[T any]() Option[T] { return Option[T]{} }

// Tag says which of the two it is.
func (o Option[T]) Tag() uint8 {
	if o.some {
		return OptionSome
	}
	return OptionNone
}

// Some returns the value, which there must be.
func (o Option[T]) Some() T {
	if !o.some {
		panic("an option without a value")
	}
	return o.value
}

// SomeOr returns the value or another one.
func (o Option[T]) SomeOr(other T) T {
	if o.some {
		return o.value
	}
	return other
}

// Result is a value or an error.
type Result[T, E any] struct {
	failed bool
	value  T
	err    E
}

// Ok is a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

// Err is an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{failed: true, err: err} }

// IsErr reports whether it is an error.
func (r Result[T, E]) IsErr() bool { return r.failed }

// Ok returns the value, or none if it is an error.
func (r Result[T, E]) Ok() T { return r.value }

// Err returns the error, or none if it is a value.
func (r Result[T, E]) Err() E { return r.err }
