;; expect: imports env.a?b, whose name has a zero byte
;; options: 
(module (import "env" "a\00b" (func)) (func (export "_start")))
