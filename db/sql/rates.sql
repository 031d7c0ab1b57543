-- How often whom came in which minute, told by every server process. Names are keyed hashes.

-- name: exchange_counts
-- In order of the key, so that two processes with the same names never wait for each other.
insert into rate_window as known (window_start, bucket, count)
select news.window_start, news.bucket, news.count
from unnest($1::timestamptz[], $2::bytea[], $3::int8[]) as news (window_start, bucket, count)
order by news.window_start, news.bucket
on conflict (window_start, bucket) do update set count = known.count + excluded.count
returning bucket, count

-- name: delete_old_windows
delete from rate_window where window_start < $1
