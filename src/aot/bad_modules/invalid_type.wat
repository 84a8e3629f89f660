;; expect: not a valid WebAssembly module: type mismatch
;; options: --no-check
(module (func (export "_start") (result i32) (i64.const 1)))
