;; What compiled guests must be able to do with a mapping at 0xC0000000, and what they
;; must not. `self-test.wasm` is this, assembled.
(module
  (memory (export "memory") 1)
  ;; An engine that makes memories of images cannot make them by our creator.
  (data (i32.const 0) "posix-ipc")

  (func (export "load") (param i32) (result i32)
    (i32.load (local.get 0)))
  (func (export "load-folded") (result i32)
    (i32.load offset=0xC0000000 (i32.const 0)))
  (func (export "store-wide") (param i32)
    (v128.store (local.get 0) (v128.const i32x4 5 6 7 8)))
  (func (export "add") (param i32 i32) (result i32)
    (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func (export "add-folded") (param i32) (result i32)
    (i32.atomic.rmw.add offset=0xC0000000 (i32.const 0) (local.get 0)))
  (func (export "exchange") (param i32 i64 i64) (result i64)
    (i64.atomic.rmw.cmpxchg (local.get 0) (local.get 1) (local.get 2)))

  (func (export "copy-from") (param i32)
    (memory.copy (i32.const 16) (local.get 0) (i32.const 16)))
  (func (export "copy-to") (param i32)
    (memory.copy (local.get 0) (i32.const 0) (i32.const 16)))
  (func (export "copy-some") (param i32 i32)
    (memory.copy (local.get 0) (i32.const 0) (local.get 1)))
  (func (export "fill") (param i32)
    (memory.fill (local.get 0) (i32.const 1) (i32.const 16)))

  (func (export "size") (result i32)
    (memory.size))
  (func (export "grow") (param i32) (result i32)
    (memory.grow (local.get 0))))
