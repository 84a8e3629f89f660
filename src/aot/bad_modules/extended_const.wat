;; expect: uses extended constant expressions, which are not supported
;; options: --enable-extended-const
(module (global i32 (i32.add (i32.const 1) (i32.const 2))) (func (export "_start")))
