;; expect: uses 64-bit memory, which is not supported (compile for wasm32)
;; options: --enable-memory64
(module (memory i64 1) (func (export "_start")))
