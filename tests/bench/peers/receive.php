<?php
// What a careful user writes: verify over the raw bytes of data, append, sync, answer.
$body = file_get_contents('php://input');
$event = json_decode($body, true, 512, JSON_BIGINT_AS_STRING);
if (!is_array($event) || !isset($event['data'], $event['nonce'], $event['sig256'])) {
	http_response_code(400);
	exit;
}
$data = json_encode($event['data'], JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
$sig = base64_encode(hash_hmac('sha256', $data . $event['nonce'], getenv('SECRET') ?: $_SERVER['SECRET'], true));
if (!hash_equals($sig, $event['sig256'])) {
	http_response_code(401);
	exit;
}
$file = fopen($_SERVER['OUT'], 'ab');
flock($file, LOCK_EX);
$ok = fwrite($file, str_replace("\n", ' ', $body) . "\n") && fflush($file) && fsync($file);
flock($file, LOCK_UN);
http_response_code($ok ? 200 : 503);
echo 'ok';
