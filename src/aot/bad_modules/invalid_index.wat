;; expect: not a valid WebAssembly module: function variable out of range
;; options: --no-check
(module (func (export "_start") (call 5)))
