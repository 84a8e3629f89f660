;; expect: uses several memories, which are not supported
;; options: --enable-multi-memory
(module (memory 1) (memory 1) (func (export "_start")))
