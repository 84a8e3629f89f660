;; expect: uses SIMD instructions, which are not supported (compile with -mno-simd128); and threads (shared memory
;; options: --enable-threads
(module (memory 1 1 shared) (func (export "_start") (drop (v128.const i32x4 1 2 3 4))))
