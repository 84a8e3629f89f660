/* Overloading, parameters, an inner name, a class of the same name around it. */
define($limit 3)
elementclass Path { input -> Null -> output || $n | input -> q :: Queue($n) -> Unqueue -> output }
elementclass Wrap { $a, LIMIT $l | input -> Path($l) -> Path -> output }
FromDevice(0) -> Wrap(x, LIMIT $limit) -> { -> Null -> } -> d :: ToDevice(1)
