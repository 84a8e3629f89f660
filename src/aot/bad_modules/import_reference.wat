;; expect: imports env.f, which takes or returns what no host offers
;; options: 
(module (import "env" "f" (func (param externref))) (func (export "_start")))
