;; expect: exports a?b, whose name has a zero byte
;; options: 
(module (func (export "a\00b")))
