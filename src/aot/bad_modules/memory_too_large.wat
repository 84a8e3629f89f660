;; expect: starts with 65536 pages of memory; at most 65535 are supported
;; options: 
(module (memory 65536) (func (export "_start")))
