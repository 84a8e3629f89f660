;; expect: uses threads (shared memory or atomic instructions), which are not supported
;; options: --enable-threads
(module (import "env" "memory" (memory 1 1 shared)) (func (export "_start")))
