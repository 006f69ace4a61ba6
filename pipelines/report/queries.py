"""The questions that the page asks the published file. `$month` is 30 days before `$today`."""

from collections.abc import Mapping

# What is asked of each mart: without one of these columns it counts as missing.
NEEDS: Mapping[str, frozenset[str]] = {
    name: frozenset(columns.split())
    for name, columns in {
        "contact_attempts": "vendor channel direction campaign_id campaign_name "
        "occurred_on earliest_on outcome reached",
        "campaigns": "vendor campaign_id campaign_name status is_deleted",
        "campaign_daily": "vendor campaign_id channel occurred_on attempts delivered reached "
        "failed bounced undelivered",
        "email_funnel": "campaign_id last_sent_at sent delivered bounced unique_opens "
        "adjusted_unique_opens unique_clicks unique_unsubscribes sent_difference",
        "queue_daily": "queue occurred_on offered answered abandoned short_abandons still_waiting "
        "answered_within_target average_speed_of_answer_seconds longest_wait_seconds",
        "agent_daily": "vendor agent_id occurred_on interactions talk_seconds handle_seconds "
        "ratings average_rating",
        "best_hours": "weekday hour channel attempts reached_rate_pct reached_rate_low_pct "
        "is_sample_large_enough",
        "over_contacted": "touches_last_7_days channels ceiling is_over_now",
    }.items()
}

CHANNELS = """
select
    direction, channel, occurred_on,
    list(distinct vendor) as vendors, count(*) as attempts, count(*) filter (reached) as reached
from marts.contact_attempts
where occurred_on between $month and $yesterday and direction in ('outbound', 'inbound')
group by all
"""

UNDATED = """
select
    vendor,
    count(*) filter (earliest_on >= $yesterday) as since_yesterday,
    count(*) filter (earliest_on >= $month) as in_period,
    count(*) filter (earliest_on is null) as without_time
from marts.contact_attempts
where occurred_on is null and direction <> 'internal'
group by vendor
order by vendor
"""

CAMPAIGNS = """
with dated as (
    select
        vendor, campaign_id, channel, attempts, delivered, reached,
        failed + bounced + undelivered as failed, 0 as undated
    from marts.campaign_daily
    where occurred_on between $month and $yesterday
),

undated as (
    select
        vendor, coalesce(campaign_id, campaign_name) as campaign_id, channel,
        count(*) as attempts,
        count(*) filter (outcome in ('delivered', 'answered')) as delivered,
        count(*) filter (reached) as reached,
        count(*) filter (outcome in ('failed', 'bounced', 'undelivered')) as failed,
        count(*) as undated
    from marts.contact_attempts
    where occurred_on is null and earliest_on between $month and $yesterday
        and (campaign_id is not null or campaign_name is not null)
    group by all
),

counted as (
    select
        vendor, campaign_id, channel,
        sum(attempts)::bigint as attempts,
        sum(delivered)::bigint as delivered,
        sum(reached)::bigint as reached,
        sum(failed)::bigint as failed,
        sum(undated)::bigint as undated
    from (select * from dated union all by name select * from undated)
    group by all
)

select
    counted.*, campaign_name, status, coalesce(is_deleted, false) as is_deleted,
    100 * delivered / counted.attempts as delivered_rate,
    100 * reached / counted.attempts as reached_rate,
    100 * failed / counted.attempts as failed_rate
from counted
left join marts.campaigns using (vendor, campaign_id)
where counted.attempts > 0
order by counted.attempts desc, vendor, campaign_id, channel
"""

EMAILS = """
select
    campaign_id, last_sent_at, sent, bounced, delivered, unique_opens, adjusted_unique_opens,
    unique_clicks, unique_unsubscribes, sent_difference
from marts.email_funnel
where last_sent_at >= $month and sent > 0
order by sent desc, campaign_id
"""

# as service_level_pct and abandon_rate_offered_pct of queue_daily, over all of the days
QUEUES = """
with periods as (
    select 7 as days, $week as since union all select 30, $month
)

select
    queue,
    days,
    sum(offered)::bigint as offered,
    sum(answered)::bigint as answered,
    100 * sum(answered_within_target) / nullif(sum(offered - still_waiting), 0)
        as service_level,
    100 * sum(abandoned - short_abandons)
        / nullif(sum(offered - still_waiting - short_abandons), 0) as abandon_rate,
    sum(average_speed_of_answer_seconds * answered)
        / nullif(sum(if(average_speed_of_answer_seconds is null, 0, answered)), 0) as speed_seconds,
    max(longest_wait_seconds) as longest_wait_seconds
from marts.queue_daily
join periods on occurred_on between since and $yesterday
group by queue, days
having sum(offered) > 0
order by max(sum(offered)) over (partition by queue) desc, queue, days
"""

AGENTS = """
with periods as (
    select 7 as days, $week as since union all select 30, $month
)

select
    vendor,
    agent_id,
    days,
    sum(interactions)::bigint as interactions,
    sum(talk_seconds) as talk_seconds,
    sum(handle_seconds) / nullif(sum(if(handle_seconds is null, 0, interactions)), 0)
        as handle_seconds,
    sum(ratings)::bigint as ratings,
    sum(average_rating * ratings) / nullif(sum(ratings), 0) as rating
from marts.agent_daily
join periods on occurred_on between since and $yesterday
group by vendor, agent_id, days
having sum(interactions) > 0
order by max(sum(interactions)) over (partition by vendor, agent_id) desc, vendor, agent_id, days
"""

HOURS = """
select
    channel, weekday, hour, attempts, is_sample_large_enough,
    reached_rate_pct as rate, reached_rate_low_pct as rate_low,
    sum(attempts) over (partition by channel) as attempts_of_channel
from marts.best_hours
order by attempts_of_channel desc, channel, hour, weekday
"""

OVER_CONTACTED = """
select
    count(*) as people, count(*) filter (is_over_now) as people_now, max(ceiling) as ceiling,
    max(touches_last_7_days) filter (is_over_now) as most_touches
from marts.over_contacted
"""

OVER_CONTACTED_BY = """
select channels, count(*) as people, max(touches_last_7_days) as most_touches
from marts.over_contacted
where is_over_now
group by channels
order by people desc, channels
"""

RUNS = """
with latest as (
    select run_id
    from ops.runs
    group by run_id
    order by max(started_at) desc, run_id
    limit $runs
)

select run_id, vendor, started_at, ended_at, status, "rows", error, warnings
from ops.runs
where run_id in (select run_id from latest)
order by max(started_at) over (partition by run_id) desc, run_id, vendor
"""

AUDIT = """
select description, severity, sum("rows")::bigint as "rows",
    string_agg(distinct vendor, ', ' order by vendor) as vendors
from ops.audit
group by test, description, severity
order by severity, "rows" desc, description
"""
