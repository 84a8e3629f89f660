;; expect: imports the memory env.memory; only functions can be imported
;; options: 
(module (import "env" "memory" (memory 1)) (func (export "_start")))
