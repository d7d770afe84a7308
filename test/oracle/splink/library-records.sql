-- The records of the library's models, made from records.parquet: columns of every type, with slips of their own in some records (by number n).
-- Run by recipe.py and by the test.
with numbered as (
  select *, cast(right(record_id, 4) as integer) as n, coalesce(try_cast(substr(ssn, 4, 4) as integer), 0) as digits,
    coalesce(try_cast(regexp_extract(address, '^[0-9]+') as integer), 0) as door
  from 'records.parquet'
  where record_id <= 'facility_003'
)
select record_id, first_name, last_name, full_name, city, zip, gender, ssn, birthdate, address, tags,
  case when n % 11 = 0 then replace(maiden_name, 'e', 'a') when n % 23 <> 0 then maiden_name end as maiden_name,
  list_distinct([soundex_first_name, soundex_last_name]) as sounds,
  case when n % 7 = 0 then 'user' || digits else lower(replace(address, ' ', '.')) end
    || case when n % 5 = 0 then '@mail.example' else '@post.example' end as email,
  case when zip = '00000' then city when n % 9 <> 0 then upper(substr(city, 1, 2)) || substr(zip, 4, 1) || ' ' || substr(zip, 5, 1) || 'XY'
    else upper(substr(city, 1, 2)) || substr(zip, 4, 1) || ' 9AB' end as postcode,
  latitude + case when n % 6 = 0 then 0.05 when n % 4 = 0 then 0.003 else n / 1e6 end as latitude,
  longitude + case when n % 16 = 0 then 0.2 else n / 1e6 end as longitude,
  case when latitude is not null then {'lat': (latitude + n / 1e5)::float, 'long': longitude::float} end as place,
  case when address is not null then door + case when n % 8 = 0 then 2 when n % 19 = 0 then 9 else 0 end end as house,
  case when month(birthdate) = 12 then 'unknown' else strftime(birthdate, '%Y-%m-%d') end as born,
  date '2001-01-01' + digits % 5000 + case when n % 6 = 0 then 2 when n % 14 = 0 then 400 else 0 end as admitted,
  strftime(date '1990-05-06' + 11 * door + case when n % 5 = 0 then 100 else 0 end, '%d/%m/%Y') as moved,
  strftime(timestamp '2020-01-01' + to_minutes(cast(10 * door + case when n % 3 = 0 then 20 when n % 7 = 0 then 600 else 0 end as integer)),
    '%Y-%m-%dT%H:%M:%SZ') as seen,
  digits * case when n % 5 = 0 then 1.05 when n % 17 = 0 then 3 else 1 end as income,
  case when first_name is not null or last_name is not null then [first_name, last_name, maiden_name] end as names,
  [substr(ssn, 1, 5), substr(ssn, -4), zip] as numbers,
  case when n % 12 = 0 then [] else string_split(address_canonical, ' ') end as words,
  cast(case when first_name is not null then [length(first_name) + n % 3, length(replace(first_name, 'a', '')), ascii(first_name) - 60,
    ascii(right(first_name, 1)) - 60] end as float[4]) as letters,
  cast(case when latitude is not null and birth_year is not null then [latitude - 42 + n / 1e5, longitude + 71, (birth_year - 1930) / 100] end
    as double[3]) as where_and_when
from (select *, concat_ws(' ', first_name, last_name) as full_name from numbered)
