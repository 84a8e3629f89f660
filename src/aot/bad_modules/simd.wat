;; expect: uses SIMD instructions, which are not supported (compile with -mno-simd128)
;; options: 
(module (func (export "_start") (drop (v128.const i32x4 1 2 3 4))))
