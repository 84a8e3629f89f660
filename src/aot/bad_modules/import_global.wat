;; expect: imports the global env.g; only functions can be imported
;; options: 
(module (import "env" "g" (global i32)) (func (export "_start")))
