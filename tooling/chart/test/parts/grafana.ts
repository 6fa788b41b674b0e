/** The types of dashboards, from the package with the types of Grafana itself. */
import type { Dashboard, DataQuery, FieldConfig, Panel } from '@grafana/schema'
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type {
  Options as SeriesOptions,
  FieldConfig as SeriesStyle,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'

/** A type as JSON has it: with the values of enumerations, which TypeScript refuses as text. */
type Json<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T

/** Grafana adds the default of an option that is missing. */
type Optional<T> = { [Key in keyof T]?: T[Key] extends object ? Optional<T[Key]> : T[Key] }

/** What `Panel` leaves open because it depends on the type of the panel and of the data source. */
interface PanelOf<Type extends string, Options, Style>
  extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  readonly type: Type
  readonly options: Optional<Options>
  readonly fieldConfig: { readonly defaults: Omit<FieldConfig, 'custom'> & { custom?: Style }; readonly overrides: [] }
  readonly targets: readonly PrometheusQuery[]
}

interface PrometheusQuery extends DataQuery {
  readonly expr: string
  readonly legendFormat: string
}

type AnyPanel = PanelOf<'stat', StatOptions, never> | PanelOf<'timeseries', SeriesOptions, SeriesStyle>

/** A dashboard with the panel types that the ones in deploy/ have. */
export type PrometheusDashboard = Json<Omit<Dashboard, 'panels'> & { readonly panels: readonly AnyPanel[] }>
