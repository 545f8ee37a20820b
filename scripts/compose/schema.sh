#!/bin/sh
# Checks the dashboards against Grafana's own types (the npm package @grafana/schema of the release in docker-compose.yml). Needs Node with npm.
#
#   schema.sh [DIR]    DIR keeps the package
set -eu
cd "$(dirname "$0")/../.."

dir=${1:-target/grafana-schema}
release=$(sed -nE 's/.*image: grafana\/grafana:([0-9.]+).*/\1/p' compose/docker-compose.yml)
mkdir -p "$dir"
[ "$(cat "$dir/release" 2>/dev/null)" = "$release" ] || {
    echo "schema: fetching @grafana/schema $release" >&2
    echo '{"private":true}' >"$dir/package.json"
    npm --prefix "$dir" install --silent --no-audit --no-fund "@grafana/schema@$release" typescript@5.8
    echo "$release" >"$dir/release"
}
# Each dashboard becomes a constant of that type: what the type does not know is an error, as is what it needs and does not find.
{
    cat <<'TYPES'
import type { Dashboard, DataQuery, DataSourceRef, FieldConfig, GridPos, VizLegendOptions, VizTooltipOptions } from '@grafana/schema';

// JSON has the names of an enumeration's values.
type Written<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Written<T[K]> } : T;
interface TimeSeries {
    type: 'timeseries';
    id: number;
    title: string;
    description?: string;
    datasource: DataSourceRef;
    gridPos: GridPos;
    fieldConfig: { defaults: FieldConfig; overrides: [] };
    options: { legend: Written<VizLegendOptions>; tooltip: Written<VizTooltipOptions> };
    targets: (DataQuery & { expr: string; legendFormat?: string })[];
}
type Ours = Omit<Written<Dashboard>, 'panels'> & { panels: TimeSeries[] };
TYPES
    for file in compose/grafana/dashboards/*.json; do
        printf '// %s\nexport const %s: Ours = ' "$file" "$(basename "$file" .json)"
        cat "$file"
        echo ';'
    done
} >"$dir/dashboards.ts"
"$dir/node_modules/.bin/tsc" --noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext --target es2022 "$dir/dashboards.ts"
echo "schema: $(ls compose/grafana/dashboards | wc -l) dashboards are what Grafana $release takes"
