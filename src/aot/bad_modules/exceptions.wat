;; expect: uses exceptions, which are not supported (compile with -fno-exceptions)
;; options: --enable-exceptions
(module (tag $e) (func (export "_start") (throw $e)))
