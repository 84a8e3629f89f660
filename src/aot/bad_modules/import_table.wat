;; expect: imports the table env.t; only functions can be imported
;; options: 
(module (import "env" "t" (table 1 funcref)) (func (export "_start")))
